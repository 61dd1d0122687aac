"""Documents -> index -> cited answer: the library and the command line. Start reading at `answer.py`."""
