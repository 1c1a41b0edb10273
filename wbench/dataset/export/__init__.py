"""Export: a dataset as one HDF5, MATLAB or NPZ file, in our layout or in one that public code reads unchanged."""

from wbench.dataset.export.engine import ExportReport, export_dataset
from wbench.dataset.export.layouts import LAYOUTS

__all__ = ["LAYOUTS", "ExportReport", "export_dataset"]
