"""What the protocol's terms mean, in one line each: metrics, kinds of tasks and models, overlap, evidence.

The pages must be readable without the package, so the lines stand here; names that are not here are shown as they are.
"""

from __future__ import annotations

__all__ = ["COLUMNS", "EVIDENCE", "FAMILIES", "METRICS", "MODEL_KINDS", "OVERLAPS", "TASK_KINDS"]

FAMILIES = {
    "los-nlos": "Line of sight",
    "beam-crossband": "Beams across bands",
    "beam-subarray": "Beams from a sub-array",
    "beam-rsrp": "Beams from few RSRP",
    "csi-feedback-ratio": "CSI feedback, ratio",
    "csi-feedback-bits": "CSI feedback, bits",
    "channel-prediction": "Channel prediction",
    "channel-estimation": "Channel estimation",
    "positioning": "Positioning",
    "path-loss": "Path loss",
    "feature-forecasting": "Feature forecasting",
}

METRICS = {
    "f1_macro": "Mean of the F1 scores of both classes; the threshold is chosen on the validation part.",
    "f1_binary": "F1 score of the positive class; the threshold is chosen on the validation part.",
    "balanced_accuracy": "Mean of the recalls of both classes.",
    "auroc": "Area under the receiver operating characteristic; needs no threshold.",
    "auprc": "Area under the precision-recall curve; needs no threshold.",
    "top1": "Share of samples whose best beam is the predicted one.",
    "top3": "Share of samples whose best beam is among the three predicted first.",
    "top5": "Share of samples whose best beam is among the five predicted first.",
    "within_1db": "Share of samples whose predicted beam receives at most 1 dB less power than the best one.",
    "rsrp_loss_db": "Mean loss of received power against the best beam, in dB.",
    "dba": "Distance-based accuracy of the three beams predicted first.",
    "nmse_ros_db": "Error energy over channel energy, both summed over all samples first, in dB.",
    "nmse_mor_db": "Mean over samples of error energy over channel energy, in dB.",
    "nmse_median_db": "Median over samples of error energy over channel energy, in dB.",
    "nmse_full_db": "Like nmse_ros_db, with the channel energy outside the delay crop counted as error.",
    "rho": "Cosine similarity of true and recovered frequency response, averaged over subcarriers (CsiNet's).",
    "nmse_abs_db": "Error energy over channel energy on channels as they are, path loss included, in dB.",
    "top1_of_3": "Share of samples whose predicted beam is among the three best ones.",
    "top1_of_5": "Share of samples whose predicted beam is among the five best ones.",
    "feature_nse": "Squared error over the squared feature, both summed first; below half a reporting step is right.",
    "rank_error": "Share of slots whose predicted rank is not the true one.",
    "precoder_chordal": "Mean squared chordal distance between predicted and true precoder.",
    "mean_m": "Mean horizontal error, in metres.",
    "cdf50_m": "Horizontal error that half of the users stay below, in metres.",
    "cdf67_m": "Horizontal error that 67 % of the users stay below, in metres.",
    "cdf90_m": "Horizontal error that 90 % of the users stay below, in metres.",
    "cdf95_m": "Horizontal error that 95 % of the users stay below, in metres.",
    "se_ratio": "Spectral efficiency with the predicted precoder over that with the true one.",
    "rmse_db": "Root of the mean squared error of the path gain, in dB.",
    "mae_db": "Mean absolute error of the path gain, in dB.",
    "sgcs": "Squared generalised cosine similarity of true and recovered eigenvectors, averaged over sub-bands.",
}

#: What slices are of. An empty name: the values say it themselves.
COLUMNS = {
    "speed_kmh": "speed [km/h]",
    "snr_db": "SNR [dB]",
    "snr": "SNR",
    "delay_spread_ns": "delay spread [ns]",
    "los": "",
    "scenario": "",
    "los_links": "base stations in line of sight",
    "k_below_3db": "LoS with K < 3 dB",
    "k_3_to_9db": "LoS with K of 3 to 9 dB",
    "k_above_9db": "LoS with K > 9 dB",
    "fd_dt_h": "Doppler shift × spacing × horizon",
    "ds_bw": "delay spread × bandwidth",
}

TASK_KINDS = {
    "classify": "classification",
    "regress": "regression",
    "reconstruct": "reconstruction",
    "compress": "compression",
}

MODEL_KINDS = {
    "trivial": "The least that any model must beat; skill is measured against the best of these.",
    "classical": "Signal processing or classical statistics; a reference line in every regime.",
    "control": "An untrained network with a trained head: what the architecture gives without pre-training.",
    "network": "A network trained for the task.",
    "foundation": "A pre-trained network.",
    "user": "A submitted model.",
}

OVERLAPS = {
    "none": "No declared overlap of the pre-training data with this benchmark.",
    "generator": "Pre-trained on data of a generator that this benchmark also uses.",
    "scenario": "Pre-trained on a scenario that this benchmark also uses: in-domain.",
    "dataset": "Pre-trained on a dataset of this benchmark: in-domain.",
}

EVIDENCE = {
    "self-reported": "Whoever ran the model made the result file. Its scores were computed by wbench.",
    "recomputed": "The scores were computed again from the published predictions by the maintainers.",
    "reproduced": "The maintainers ran the model themselves and reached the same scores.",
    "withdrawn": "Taken back by its authors or the maintainers. Its page stays, it is never ranked.",
    "from-paper": "A published number, shown as context. Never ranked.",
}
