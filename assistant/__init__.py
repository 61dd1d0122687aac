"""Documents -> index -> cited answer: the library and the command line. Start reading at `answer.py`."""

import os

# NumPy's threads spin after each product and take the cores from the models' own: indexing took a quarter longer.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
