"""
The status page: the switch in a browser, off unless lbctld is told where to serve it.

`server` hands out the files of `static/`, which hold no data, to anybody, and the API to whoever
bears its token.  All that the page shows it asks of the API, as the command line does.
"""

from lbctl.control.page.server import create_page

__all__ = ["create_page"]
