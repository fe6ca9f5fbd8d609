"""Random lives of jobs, judged by a model of what may happen; run with `scripts/test -m property`.

- `twins`: NATS and Redis of a life, in memory or real, and what can happen to them;
- `view`: the database as the oracle sees it; `changes`: what a step changed, by name;
- `oracle`: which changes a step may make, and what was promised to workers;
- `answers`: what a worker must be told;
- `stops`: crashes and what others do meanwhile, at failpoints;
- `life`, `workers`, `people`, `misfortunes`: the rules of the state machine; `machine` puts them together;
- `ending`: how every life has to end.
"""
