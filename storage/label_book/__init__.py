"""The label book: labels that runs share, looked up before anything is paid for.

`book.py` is the way in. `matching` says when two geometries are the same; `lookup` and `claiming`
find and claim, `publishing` writes what was bought, `reconciling` brings a book into line with a
run's ledger and store, `shared_pools` keeps the configurations that runs of one molecule share.
"""

from forgefield.storage.label_book.book import LEAST_CORE_SECONDS, LabelBook
from forgefield.storage.label_book.claiming import Claims, Found
from forgefield.storage.label_book.opening import book_url
from forgefield.storage.label_book.runs import Run

__all__ = ["LEAST_CORE_SECONDS", "Claims", "Found", "LabelBook", "Run", "book_url"]
