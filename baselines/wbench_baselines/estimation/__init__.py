"""Channel estimation without a network: from the pilots of a slot to its whole resource grid.

=================  ==================================================================================
``common``         where the pilots lie; separable interpolation
``interpolation``  nearest pilot; least squares with linear and with DFT interpolation
``kronecker``      LMMSE with a covariance that is a product of time, space and frequency
``lmmse``          the same with the training part's covariance, shrunk
``omp``            orthogonal matching pursuit of paths in delay and angle
``somp``           its solver, for dictionaries that are a product of two
``genie``          LMMSE with each sample's own statistics: a bound, not a model
=================  ==================================================================================
"""
