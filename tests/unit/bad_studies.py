"""Study files with a mistake, and what the message has to say about it.

A plain list, so that other tests can feed the same files to the command line.
"""

from typing import NamedTuple

_HEAD = "name: bad\nworker: sklearn-mlp\n"
_FIDELITY = "fidelity: {min: 1, max: 27}\n"
_GOOD = _HEAD + _FIDELITY
_TOML = 'name = "bad"\nworker = "sklearn-mlp"\n'


class BadStudy(NamedTuple):
    """One file.

    Attributes:
        id: Name of the case.
        text: Content; bytes if it is not UTF-8 text.
        path: Path of the key that the message names; empty for the file as a whole.
        phrase: Part of the message.
        line: Line that the message names, or None.
        file: Name of the file.
    """

    id: str
    text: str | bytes
    path: str
    phrase: str
    line: int | None = None
    file: str = "bad.yaml"


BAD_STUDIES = [
    # The file as such.
    BadStudy("empty", "", "", "the file is empty; a study needs name, worker and fidelity"),
    BadStudy("only comments", "# name: bad\n", "", "the file is empty"),
    BadStudy(
        "list at top", "- name: bad\n- worker: w\n", "", "must be a mapping of keys, but the file holds a list", 1
    ),
    BadStudy("text at top", "\nhello\n", "", "must be a mapping of keys, but the file holds text", 2),
    BadStudy("tab", "name: bad\nfidelity:\n\tmin: 1\n", "", "a tab stands where spaces are needed", 3),
    BadStudy("open bracket", "name: bad\nfidelity: {min: 1,\n", "", "a bracket '[' or '{' is not closed", 3),
    BadStudy("two colons", "name: bad\nworker: a: b\n", "", "a ':' stands where none can be", 2),
    BadStudy("no colon", "name: bad\nworker\nseed: 1\n", "", "a key without ':'", 3),
    BadStudy("indentation", "name: bad\n  worker: w\n", "", "check the indentation", 2),
    BadStudy("open quote", "name: 'bad\n", "", "a quote or bracket is not closed", 2),
    BadStudy("two documents", _GOOD + "---\n" + _GOOD, "", "a second document begins here", 4),
    BadStudy("unknown alias", _GOOD + "initial: *first\n", "", "without an anchor", 4),
    BadStudy("alias of itself", _GOOD + "initial: &a [*a]\n", "initial[0]", "something that contains it", 4),
    BadStudy("merge key", _GOOD + "worker_options:\n  <<: {a: 1}\n", "worker_options.'<<'", "merging of mappings", 5),
    BadStudy("tag", _GOOD + "worker_options: {a: !!python/name:os.system }\n", "worker_options.a", "is not allowed", 4),
    BadStudy("deep nesting", _GOOD + "space: {a: " + "[" * 600 + "]" * 600 + "}\n", "", "nested too deeply"),
    BadStudy(
        "deep enough to refuse", _GOOD + "initial: [{a: " + "[" * 60 + "]" * 60 + "}]\n", "", "more than 50 levels", 4
    ),
    BadStudy("control character", "name: bad\nworker: \x07\n", "", "a control character", 2),
    BadStudy("binary", b"name: bad\0\x01\x02", "", "is not a text file"),
    BadStudy("latin-1", "name: bad\nworker: é\n".encode("latin-1"), "", "is not UTF-8 text (byte 0xe9)", 2),
    BadStudy(
        "wrong ending", _GOOD, "", "the file name ends in '.json'; it must end in .yaml, .yml or .toml", file="bad.json"
    ),
    BadStudy("no ending", _GOOD, "", "the file name has no ending", file="bad"),
    BadStudy("toml syntax", _TOML + "seed: 1\n", "", "not valid TOML", 3, "bad.toml"),
    BadStudy("toml twice", _TOML + 'name = "worse"\n', "", "not valid TOML: Cannot overwrite a value", 3, "bad.toml"),
    BadStudy("toml cut off", _TOML + "fidelity = {min = 1, max = 2", "", "not valid TOML", 3, "bad.toml"),
    BadStudy("toml deep nesting", _TOML + "initial = " + "[" * 3000, "", "nested too deeply", file="bad.toml"),
    BadStudy(
        "toml date",
        _TOML + "fidelity = {min = 2024-01-01, max = 2}\n",
        "fidelity.min",
        "put it in quotes",
        file="bad.toml",
    ),
    BadStudy(
        "toml range", _TOML + "fidelity = {min = 3, max = 2}\n", "fidelity.max", "at least min (3)", file="bad.toml"
    ),
    # Keys.
    BadStudy("key twice", _GOOD + "seed: 1\nseed: 2\n", "seed", "given twice, first on line 4; remove one", 5),
    BadStudy("inner key twice", _HEAD + "fidelity:\n  min: 1\n  max: 3\n  min: 2\n", "fidelity.min", "given twice", 6),
    BadStudy(
        "key twice in options", _GOOD + "worker_options: {a: {b: 1, b: 1}}\n", "worker_options.a.b", "given twice", 4
    ),
    BadStudy("no name", "worker: sklearn-mlp\n" + _FIDELITY, "name", "is missing: name of the study; add it, such as"),
    BadStudy("no worker", "name: bad\n" + _FIDELITY, "worker", "is missing"),
    BadStudy("no fidelity", _HEAD, "fidelity", "is missing: what a budget is, and its range"),
    BadStudy("no max", _HEAD + "fidelity: {min: 1}\n", "fidelity.max", "is missing: largest budget", 3),
    BadStudy("unknown key", _GOOD + "sede: 1\n", "sede", "unknown key; did you mean 'seed'? (allowed: name,", 4),
    BadStudy(
        "unknown inner key",
        _HEAD + "fidelity:\n  min: 1\n  max: 27\n  maximum: 27\n",
        "fidelity.maximum",
        "unknown key; did you mean 'max'? (allowed: name, min, max, integer)",
        6,
    ),
    BadStudy(
        "nothing near",
        _GOOD + "limits: {qqq: 1}\n",
        "limits.qqq",
        "unknown key; remove it (allowed: seconds, memory_mb,",
        4,
    ),
    BadStudy("key of a section", _GOOD + "eta: 3\n", "eta", "did you mean 'method.eta'?", 4),
    BadStudy(
        "key of two sections",
        _GOOD + "seconds: 3\n",
        "seconds",
        "did you mean 'stop.seconds' or 'limits.seconds'?",
        4,
    ),
    BadStudy("key with capital", _GOOD + "Seed: 3\n", "Seed", "did you mean 'seed'?", 4),
    BadStudy("key with dash", _GOOD + "warm-start: []\n", "warm-start", "did you mean 'warm_start'?", 4),
    BadStudy("number as key", _GOOD + "worker_options: {1: a}\n", "worker_options[1]", "the key 1 is a number", 4),
    BadStudy("list as key", _GOOD + "worker_options: {[1]: a}\n", "worker_options", "a key that is a list", 4),
    BadStudy("odd key", _GOOD + '"\\e[31m": 1\n', r"'\x1b[31m'", "unknown key", 4),
    # Types.
    BadStudy(
        "number in quotes", _HEAD + 'fidelity: {min: "1", max: 27}\n', "fidelity.min", "'1' is text; write 1 without", 3
    ),
    BadStudy(
        "number with separator",
        _HEAD + "fidelity: {min: 1, max: 1_000}\n",
        "fidelity.max",
        "is text; write 1000 with digits only",
        3,
    ),
    BadStudy(
        "word for number",
        _HEAD + "fidelity: {min: one, max: 27}\n",
        "fidelity.min",
        "'one' is text; write a number, such as 1",
        3,
    ),
    BadStudy("switch for number", _HEAD + "fidelity: {min: true, max: 27}\n", "fidelity.min", "true is a switch", 3),
    BadStudy(
        "nothing for number",
        _HEAD + "fidelity:\n  min:\n  max: 27\n",
        "fidelity.min",
        "must be a number, but is empty",
        4,
    ),
    BadStudy("list for number", _HEAD + "fidelity: {min: [1], max: 27}\n", "fidelity.min", "[1] is a list", 3),
    BadStudy("fraction for whole", _GOOD + "stop: {brackets: 2.6}\n", "stop.brackets", "with a fraction; write 3", 4),
    BadStudy(
        "text for whole", _GOOD + "seed: '7'\n", "seed", "must be a whole number, but '7' is text; write 7 without", 4
    ),
    BadStudy("nothing for seed", _GOOD + "seed:\n", "seed", "must be a whole number, but is empty", 4),
    BadStudy(
        "yes for true",
        _HEAD + "fidelity: {min: 1, max: 3, integer: yes}\n",
        "fidelity.integer",
        "'yes' is text; write true",
        3,
    ),
    BadStudy(
        "zero for false", _GOOD + "refit: 0\n", "refit", "must be true or false, but 0 is a number; write false", 4
    ),
    BadStudy("quoted false", _GOOD + "refit: 'false'\n", "refit", "write false without quotes", 4),
    BadStudy(
        "number for name",
        "name: 12\nworker: w\n" + _FIDELITY,
        "name",
        "must be text, but 12 is a number; put it in quotes",
        1,
    ),
    BadStudy(
        "text for mapping", _HEAD + "fidelity: epochs\n", "fidelity", "must be a mapping, but 'epochs' is text", 3
    ),
    BadStudy("list for mapping", _GOOD + "limits: [600]\n", "limits", "must be a mapping, but [600] is a list", 4),
    BadStudy(
        "number for mapping",
        _GOOD + "stop: 4\n",
        "stop",
        "must be a mapping, but 4 is a number; write a mapping, such as {brackets: 4}",
        4,
    ),
    BadStudy("list for options", _GOOD + "worker_options: [a]\n", "worker_options", "must be a mapping", 4),
    BadStudy(
        "not a number", _HEAD + "fidelity: {min: .nan, max: 27}\n", "fidelity.min", "is not a number; write a finite", 3
    ),
    BadStudy("infinite", _HEAD + "fidelity: {min: 1, max: .inf}\n", "fidelity.max", "is infinite", 3),
    BadStudy("too large", _GOOD + "stop: {loss: 1e999}\n", "stop.loss", "is infinite (or too large", 4),
    BadStudy("infinite option", _GOOD + "worker_options: {a: [1, -.inf]}\n", "worker_options.a[1]", "is infinite", 4),
    BadStudy(
        "huge option", _GOOD + f"worker_options: {{a: {10**30}}}\n", "worker_options.a", "does not fit into 64 bits", 4
    ),
    BadStudy("too many digits", _GOOD + f"seed: {'9' * 5000}\n", "seed", "is not a number that can be read", 4),
    BadStudy("half a character", _GOOD + 'worker_options: {a: "\\ud800"}\n', "worker_options.a", "is no valid text", 4),
    # Meaning.
    BadStudy(
        "min of zero",
        _HEAD + "fidelity: {min: 0, max: 27}\n",
        "fidelity.min",
        "must be more than 0, not 0; write another value, such as 1",
        3,
    ),
    BadStudy(
        "min below zero", _HEAD + "fidelity: {min: -1.5, max: 27}\n", "fidelity.min", "must be more than 0, not -1.5", 3
    ),
    BadStudy(
        "max below min",
        _HEAD + "fidelity:\n  max: 1\n  min: 27\n",
        "fidelity.max",
        "must be at least min (27), not 1",
        4,
    ),
    BadStudy(
        "broken min",
        _HEAD + "fidelity: {min: 0.5, max: 3, integer: true}\n",
        "fidelity.integer",
        "but min is 0.5; round it",
        3,
    ),
    BadStudy(
        "broken max", _HEAD + "fidelity: {min: 1, max: 3.5, integer: true}\n", "fidelity.integer", "but max is 3.5", 3
    ),
    BadStudy(
        "blank unit", _HEAD + "fidelity: {name: ' ', min: 1, max: 3}\n", "fidelity.name", "printable characters", 3
    ),
    BadStudy(
        "eta of one",
        _GOOD + "method: {eta: 1}\n",
        "method.eta",
        "must be more than 1, not 1; write another value, such as 3",
        4,
    ),
    BadStudy("eta near one", _GOOD + "method: {eta: 1.0001}\n", "method.eta", "1.0001 makes more than 64 budgets", 4),
    BadStudy(
        "endless bracket",
        _HEAD + "fidelity: {min: 1e-9, max: 1}\n",
        "fidelity.min",
        "1e-09 makes brackets that begin with 387420489 configurations",
        3,
    ),
    BadStudy(
        "unknown method",
        _GOOD + "method: bopb\n",
        "method.name",
        "'bopb' is not known; did you mean 'bohb'? (allowed: bohb,",
        4,
    ),
    BadStudy(
        "method with underscore",
        _GOOD + "method: {name: successive_halving}\n",
        "method.name",
        "did you mean 'successive-halving'?",
        4,
    ),
    BadStudy(
        "method of numbers",
        _GOOD + "method: {name: 3}\n",
        "method.name",
        "3 is not known; choose another (allowed: bohb,",
        4,
    ),
    BadStudy("list for method", _GOOD + "method: [bohb]\n", "method", "must be a mapping, but ['bohb'] is a list", 4),
    BadStudy(
        "foreign option",
        _GOOD + "method: {name: hyperband, num_samples: 9}\n",
        "method.num_samples",
        "is not an option of method 'hyperband' (only of bohb); remove it",
        4,
    ),
    BadStudy(
        "eta of random",
        _GOOD + "method: {name: random, eta: 3}\nstop: {seconds: 1}\n",
        "method.eta",
        "not an option of method 'random'",
        4,
    ),
    BadStudy(
        "unknown option",
        _GOOD + "method: {name: bohb, n_samples: 9}\n",
        "method.n_samples",
        "did you mean 'num_samples'?",
        4,
    ),
    BadStudy(
        "unknown rule for sizes",
        _GOOD + "method: {sizes: hpband}\n",
        "method.sizes",
        "did you mean 'hpbandster'?",
        4,
    ),
    BadStudy(
        "unknown density", _GOOD + "method: {density: statsmodel}\n", "method.density", "did you mean 'statsmodels'?", 4
    ),
    BadStudy(
        "fraction above one",
        _GOOD + "method: {random_fraction: 33}\n",
        "method.random_fraction",
        "must be at most 1, not 33",
        4,
    ),
    BadStudy(
        "all good",
        _GOOD + "method: {top_n_percent: 100}\n",
        "method.top_n_percent",
        "must be less than 100, not 100",
        4,
    ),
    BadStudy(
        "wide bandwidth", _GOOD + "method: {min_bandwidth: 0.6}\n", "method.min_bandwidth", "must be at most 0.5", 4
    ),
    BadStudy(
        "equal whole budgets",
        _HEAD + "fidelity: {min: 1, max: 4, integer: true}\nmethod: {eta: 1.2}\n",
        "fidelity.min",
        "which must be at least 1 and grow",
        3,
    ),
    BadStudy("no bandwidth", _GOOD + "method: {min_bandwidth: 0}\n", "method.min_bandwidth", "must be more than 0", 4),
    BadStudy(
        "endless random search",
        _GOOD + "method: random\n",
        "stop",
        "must be given, since method 'random' has no natural end",
    ),
    BadStudy("random with empty stop", _GOOD + "method: random\nstop: {}\n", "stop", "must be given", 5),
    BadStudy("no brackets", _GOOD + "stop: {brackets: 0}\n", "stop.brackets", "must be at least 1, not 0", 4),
    BadStudy("no time", _GOOD + "stop: {seconds: 0}\n", "stop.seconds", "must be more than 0", 4),
    BadStudy("negative limit", _GOOD + "limits: {seconds: -5}\n", "limits.seconds", "must be more than 0, not -5", 4),
    BadStudy("no memory", _GOOD + "limits: {memory_mb: 0}\n", "limits.memory_mb", "must be at least 1", 4),
    BadStudy(
        "memory with unit",
        _GOOD + "limits: {memory_mb: 4G}\n",
        "limits.memory_mb",
        "'4G' is text; write a whole number, such as 4000",
        4,
    ),
    BadStudy("no attempts", _GOOD + "limits: {attempts: 0}\n", "limits.attempts", "must be at least 1, not 0", 4),
    BadStudy("negative seed", _GOOD + "seed: -1\n", "seed", "must be at least 0, not -1", 4),
    BadStudy("large seed", _GOOD + f"seed: {2**63}\n", "seed", "must be less than 9223372036854775808", 4),
    BadStudy(
        "name with space",
        "name: my study\nworker: w\n" + _FIDELITY,
        "name",
        "'my study' cannot be a name; use 1 to 64 letters",
        1,
    ),
    BadStudy("name with slash", "name: a/b\nworker: w\n" + _FIDELITY, "name", "cannot be a name", 1),
    BadStudy("name with newline", 'name: "a\\n"\nworker: w\n' + _FIDELITY, "name", "cannot be a name", 1),
    BadStudy("long name", f"name: {'a' * 500}\nworker: w\n" + _FIDELITY, "name", "…", 1),
    # Workers, spaces, configurations, earlier runs.
    BadStudy(
        "worker without class",
        "name: bad\nworker: train.py\n" + _FIDELITY,
        "worker",
        "write 'train.py:' and the name of the class",
        2,
    ),
    BadStudy(
        "module without class", "name: bad\nworker: lib.mod.Net\n" + _FIDELITY, "worker", "write 'lib.mod:Net'", 2
    ),
    BadStudy(
        "empty class",
        "name: bad\nworker: 'lib.mod:'\n" + _FIDELITY,
        "worker",
        "has no class name after the last ':'",
        2,
    ),
    BadStudy("keyword as class", "name: bad\nworker: lib:class\n" + _FIDELITY, "worker", "has no class name", 2),
    BadStudy("no module", "name: bad\nworker: 'a-b:Net'\n" + _FIDELITY, "worker", "neither a module nor a .py file", 2),
    BadStudy(
        "worker with space", "name: bad\nworker: my worker\n" + _FIDELITY, "worker", "is not the name of a worker", 2
    ),
    BadStudy(
        "missing worker file",
        "name: bad\nworker: nowhere/train.py:Net\n" + _FIDELITY,
        "worker",
        "/nowhere/train.py' does not exist",
        2,
    ),
    BadStudy(
        "space of no type", _GOOD + "space: big\n", "space", "'big' is text, but no path of a .json or .yaml file", 4
    ),
    BadStudy(
        "missing space file",
        _GOOD + "space: nowhere.yaml\n",
        "space",
        "/nowhere.yaml' does not exist; check the path",
        4,
    ),
    BadStudy("list for space", _GOOD + "space: [x]\n", "space", "must be a mapping, but ['x'] is a list", 4),
    BadStudy(
        "mapping for initial",
        _GOOD + "initial: {x: 1}\n",
        "initial",
        "must be a list, but {x: 1} is a mapping; write it in brackets",
        4,
    ),
    BadStudy(
        "numbers for initial",
        _GOOD + "initial:\n  - {x: 1}\n  - 2\n",
        "initial[1]",
        "must be a mapping, but 2 is a number; write a mapping, such as {x: 0.5}",
        6,
    ),
    BadStudy(
        "text for warm start", _GOOD + "warm_start: runs/a\n", "warm_start", "write it in brackets: ['runs/a']", 4
    ),
    BadStudy(
        "number for warm start",
        _GOOD + "warm_start: [1]\n",
        "warm_start[0]",
        "must be text (a path), but 1 is a number",
        4,
    ),
    BadStudy("missing warm start", _GOOD + "warm_start: [nowhere]\n", "warm_start[0]", "/nowhere' does not exist", 4),
    BadStudy(
        "empty warm start", _GOOD + "warm_start: ['']\n", "warm_start[0]", "the run directory '' does not exist", 4
    ),
    BadStudy("warm start twice", _GOOD + "warm_start: ['.', './']\n", "warm_start[1]", "is given twice", 4),
    # What has no effect.
    BadStudy(
        "needs of budgets that there are not",
        _GOOD + "needs:\n- gpu: 1\n  min_budget: 100\n",
        "needs[0]",
        "never applies, since 27 is the largest budget; lower min_budget",
        5,
    ),
    BadStudy(
        "needs of nothing", _GOOD + "needs: [{min_budget: 3}]\n", "needs[0]", "needs nothing; add what is needed", 4
    ),
    BadStudy(
        "less than nothing of Dask's resources",
        _GOOD + "fleet: {dask: {resources: {GPU: -1}}}\n",
        "fleet.dask.resources.GPU",
        "-1 is no amount; write a number above 0",
        4,
    ),
    # What starts workers.
    BadStudy("unknown fleet key", _GOOD + "fleet: {worker: 4}\n", "fleet.worker", "did you mean", 4),
    BadStudy("no fleet", _GOOD + "fleet: {workers: 0}\n", "fleet.workers", "must be at least 1", 4),
    BadStudy(
        "dashes before an option of sbatch",
        _GOOD + "fleet:\n  slurm:\n    options: {--partition: gpu}\n",
        "fleet.slurm.options.--partition",
        "without dashes",
        6,
    ),
    BadStudy(
        "option of sbatch that is ours",
        _GOOD + "fleet:\n  slurm:\n    options: {array: 0-7}\n",
        "fleet.slurm.options.array",
        "follows the demand; see fleet.workers; remove it",
        6,
    ),
    BadStudy(
        "value that sbatch cannot get",
        _GOOD + "fleet:\n  slurm:\n    options: {partition: {a: b}}\n",
        "fleet.slurm.options.partition",
        "cannot be given to sbatch; write text",
        6,
    ),
    BadStudy(
        "setup of two lines",
        _GOOD + 'fleet:\n  slurm:\n    setup: ["a\\nb"]\n',
        "fleet.slurm.setup",
        "must be one line",
        6,
    ),
    BadStudy(
        "several clusters of SLURM",
        _GOOD + "fleet:\n  slurm:\n    options: {clusters: all}\n",
        "fleet.slurm.options.clusters",
        "run the master on a head node of the other one; remove it",
        6,
    ),
    BadStudy(
        "interpreter that a shell would have to find",
        _GOOD + "fleet:\n  slurm:\n    python: ~/venv/bin/python\n",
        "fleet.slurm.python",
        "is used as it stands on other machines; write the full path",
        6,
    ),
    BadStudy(
        "interpreter beside something",
        _GOOD + "fleet:\n  slurm:\n    python: venv/bin/python\n",
        "fleet.slurm.python",
        "write the full path",
        6,
    ),
    BadStudy(
        "variable in a path of other machines",
        _GOOD + "fleet:\n  dask: {credentials: $HOME/keys}\n",
        "fleet.dask.credentials",
        "write the full path",
        5,
    ),
    BadStudy(
        "credentials without a folder",
        _GOOD + "fleet:\n  slurm:\n    credentials: /keys/worker\n",
        "fleet.slurm.credentials",
        "is given without folder",
        6,
    ),
    BadStudy(
        "two schedulers of Dask",
        _GOOD + "fleet:\n  dask: {scheduler: 'tcp://h:1', scheduler_file: f.json}\n",
        "fleet.dask.scheduler_file",
        "is given beside scheduler; remove one",
        5,
    ),
    BadStudy(
        "namespace of Kubernetes",
        _GOOD + "fleet:\n  kubernetes: {namespace: My_Space}\n",
        "fleet.kubernetes.namespace",
        "cannot be a namespace; use 1 to 63 lower-case letters",
        5,
    ),
]
