"""Networks of single tasks, trained by :mod:`wbench.training`."""
