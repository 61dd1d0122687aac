"""Texts that would load, send or run something if a page took them for more than text, and the listener that would hear of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# URL becomes an address of the listener that ends in the number of the payload.
PAYLOADS = (
    "![x](URL)",
    "![x][ref]\n\n[ref]: URL",
    "![x][ref]\n\n[ref]: <URL> 'title'",
    "[x](URL) [y](//HOST/y)",
    "[![1](URL)](URL)",
    "<URL> and URL and HOST/bare",
    "<img src=URL>",
    "<img src='x' onerror='window.__pwned=1;fetch(\"URL\",{mode:\"no-cors\"})'>",
    "<img srcset='URL 1x, URL 2x'>",
    "<picture><source srcset=URL><img></picture>",
    "<svg><image href='URL'/></svg>",
    "<svg><image xlink:href='URL'/></svg>",
    "<svg onload='window.__pwned=2'>",
    "<svg><script>window.__pwned=3</script></svg>",
    "<svg><use href='URL#x'/></svg>",
    "<svg><style>@import 'URL';</style></svg>",
    "<p style='background:url(URL)'>x</p>",
    "<p style='background-image:image-set(\"URL\" 1x)'>x</p>",
    "<style>@import 'URL'; * { background: url(URL) }</style>",
    "<link rel=stylesheet href=URL>",
    "<link rel=prefetch href=URL><link rel=preload as=image href=URL><link rel=dns-prefetch href=URL>",
    "<meta http-equiv=refresh content='0;url=URL'>",
    "<base href=URL>",
    "<form action=URL><input autofocus onfocus=this.form.submit()><button formaction=URL>go</button></form>",
    "<iframe src=URL></iframe>",
    "<iframe srcdoc='<script>parent.__pwned=4</script>'></iframe>",
    "<object data=URL></object><embed src=URL>",
    "<video src=URL poster=URL autoplay></video><audio src=URL autoplay></audio>",
    "<video><track default src=URL></video>",
    "<script src=URL></script><script>window.__pwned=5;alert(1)</script>",
    "<details open ontoggle='window.__pwned=6'>x</details>",
    "<input autofocus onfocus='window.__pwned=7'>",
    "<a href='javascript:window.__pwned=8' ping=URL>x</a> [x](javascript:window.__pwned=8)",
    "<body background=URL onload='window.__pwned=9'><table background=URL><td background=URL>",
    "<noscript><p title='</noscript><img src=URL onerror=window.__pwned=10>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=URL onerror=window.__pwned=11&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=URL onerror=window.__pwned=12>",
    "<svg></p><style><a id='</style><img src=URL onerror=window.__pwned=13>'>",
    "</textarea></title></style></script><img src=URL onerror=window.__pwned=14>",
    "\"'><img src=URL onerror=window.__pwned=15> `<img src=URL>`",
    "&lt;img src=URL onerror=window.__pwned=16&gt; &#60;img src=URL&#62;",
    "```html\n<img src=URL onerror=window.__pwned=17>\n```",
    "| a |\n|---|\n| <img src=URL> ![x](URL) |",
    "$\\href{URL}{x}$ $$\\includegraphics{URL}$$",
    "{{constructor.constructor('window.__pwned=18')()}} ${window.__pwned=18} @children",
    "<template shadowrootmode=open><img src=URL></template><custom-element><slot></slot></custom-element>",
)
MARKS = (
    "img",
    "script",
    "iframe",
    "object",
    "embed",
    "svg",
    "video",
    "audio",
    "link",
    "meta",
    "base",
    "form",
    "style",
    "math",
    "input[autofocus]",
)


def payload(number: int, port: int, place: str = "x") -> str:
    """Return a payload that names the listener at `port`, with what tells where it was shown."""
    host = f"127.0.0.1:{port}"
    return PAYLOADS[number].replace("URL", f"http://{host}/{place}-{number}").replace("HOST", host)


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """Listen on a free port; gives it, and what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1]), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
