"""Baselines of feature forecasting: from five slots of estimated link features to one true feature."""
