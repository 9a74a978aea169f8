"""Where the jobs of a sweep run, several at once: on this machine, as one model, on Slurm, on Ray.

`launcher` is what they are to Hydra, `work` what each does for a job in the end. Between them: `backlog` what is to
begin, and to begin again; `processes` how one is made, prints and is ended; `live` what one sees meanwhile.
"""
