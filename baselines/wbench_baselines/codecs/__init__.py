"""Classical codecs for CSI feedback.

Map of the room:

================  ====================================================================================================
``common``        complex channels as real vectors, products that do not depend on the batch
``trivial``       :class:`~wbench_baselines.codecs.trivial.Zeros`: no bits
``precoder``      :class:`~wbench_baselines.codecs.precoder.FixedPrecoder`: no bits, one precoder for everybody
``type1``         :class:`~wbench_baselines.codecs.type1.Type1`: the 3GPP Type I single-panel codebook
``pmi_search``    choice of beams, taps and coefficients, shared by the two below
``type2``         :class:`~wbench_baselines.codecs.type2.Type2`: the 3GPP Type II codebook (Rel-15)
``etype2``        :class:`~wbench_baselines.codecs.etype2.EType2`: the 3GPP enhanced Type II codebook (Rel-16)
``pca_quantised`` :class:`~wbench_baselines.codecs.pca_quantised.PcaQuantised`: principal components in real bits
``measurement``   the random measurement that all compressed-sensing codecs of a task share
``fista``         batched LASSO and group-LASSO solver
``lasso``         :class:`~wbench_baselines.codecs.lasso.Lasso`, :class:`~wbench_baselines.codecs.lasso.LassoComplex`
``tuning``        the choice of one number of a codec on validation samples
``tv_solver``     batched total-variation minimisation
``tval3``         :class:`~wbench_baselines.codecs.tval3.Tval3`, anisotropic and complex variants
``denoise``       denoisers of small images: sliding DCT, block matching with collaborative filtering
``amp``           denoising-based approximate message passing
``damp``          :class:`~wbench_baselines.codecs.damp.DctAmp`, :class:`~wbench_baselines.codecs.damp.Bm3dLiteAmp`, …
``omp_solver``    batched orthogonal matching pursuit over blocks of columns
``omp``           :class:`~wbench_baselines.codecs.omp.OmpCodec`: paths between the taps
``klt``           :class:`~wbench_baselines.codecs.klt.Klt`: the best linear codec in the mean square
================  ====================================================================================================
"""
