"""Many runs of one config: their names and folders, who runs them where, and what they found.

`options` says what is asked for, `plan` what is to be done, `jobs` what one run is, `compose` with which config.
`sweepers/` say which jobs there are, `launchers/` run them, `report/` reads what came out. Each reads the folders that
runs leave, so any of them can go on where another was killed.
"""
