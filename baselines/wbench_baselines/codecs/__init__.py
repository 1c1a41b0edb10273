"""Classical codecs for CSI feedback.

Map of the room:

================  ====================================================================================================
``common``        complex channels as real vectors, products that do not depend on the batch
``trivial``       :class:`~wbench_baselines.codecs.trivial.Zeros`: no bits
``precoder``      :class:`~wbench_baselines.codecs.precoder.FixedPrecoder`: no bits, one precoder for everybody
``type1``         :class:`~wbench_baselines.codecs.type1.Type1`: the 3GPP Type I single-panel codebook
``measurement``   the random measurement that all compressed-sensing codecs of a task share
``fista``         batched LASSO and group-LASSO solver
``lasso``         :class:`~wbench_baselines.codecs.lasso.Lasso`, :class:`~wbench_baselines.codecs.lasso.LassoComplex`
``klt``           :class:`~wbench_baselines.codecs.klt.Klt`: the best linear codec in the mean square
================  ====================================================================================================
"""
