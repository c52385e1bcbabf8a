"""The recommend service: what should this shopper see now."""

import os

# A server is one process a core: numpy's own threads would only take it from the others. Read by
# the libraries when numpy is first imported, so it stands here.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
