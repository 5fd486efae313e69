"""Many runs: methods × seeds × settings, and what they say together.

A study is a small YAML file, as in ``experiments/``::

    title: What soft positives cost
    profile: demo                  # settings of profiles/demo.yaml ...
    settings: {epochs: 6}          # ... and what all runs change in them
    seeds: 3                       # 0, 1, 2
    runs:                          # lists are multiplied out
      - method: [ce, supcon]
      - {method: hcl, soft_weight: [0.1, 0.3], normalization: [level, pair]}

Every run is made in a process of its own; finished runs are not repeated, so a study that was
stopped goes on where it was. The summary goes to ``results/<name>.json``. Runs that it already
holds stay beside the new ones; a summary of other data or another profile is moved aside. To begin
anew, move the file away.

    python -m fgcl_utils.study experiments/sweep.yaml
    python -m fgcl_utils.study profiles/demo.yaml --seeds 5

`plan` makes jobs of the file, `execution` makes the runs, `summary` says what came out, `record`
keeps it.
"""
