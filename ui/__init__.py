"""The browser front end: renders what `assistant` returns, decides nothing. Start reading at `app.py`."""
