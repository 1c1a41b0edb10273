"""Networks for CSI feedback: an encoder to a few real numbers or bits, and a decoder.

Map of the room:

============  ========================================================================================================
``trained``   what they share: settings, training, weights
``codec``     the common part of those on images: scale, the two halves as they are sent to their processes
``csinet``    :class:`~wbench_baselines.networks.feedback.csinet.CsiNet`
``crnet``     :class:`~wbench_baselines.networks.feedback.crnet.CrNet`
``transnet``  :class:`~wbench_baselines.networks.feedback.transnet.TransNet`
``precoder``  :class:`~wbench_baselines.networks.feedback.precoder.PrecoderTransformer`: precoders in real bits
============  ========================================================================================================
"""
