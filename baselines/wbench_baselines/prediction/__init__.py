"""Channel prediction without a network: from some snapshots to the others.

===========  ========================================================================================
``common``   which snapshots a task shows, and which it leaves open
``trivial``  zeros; hold, the last snapshot that was seen
``wiener``   one Wiener predictor for all users, from the temporal covariance of the training part
``bank``     Wiener predictors by the user's own temporal correlation, after its mean Doppler is removed
===========  ========================================================================================
"""
