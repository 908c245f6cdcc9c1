"""Asks the window of this title to close, as the X in its corner does: WM_DELETE_WINDOW (ICCCM, 4.2.8.1).

Works without a window manager. Exits with 1 when there is no such window.
"""

import ctypes
import ctypes.util
import sys

x11 = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
XID, Atom, Pointer = ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p
CLIENT_MESSAGE = 33


class ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", Pointer),
        ("window", XID),
        ("message_type", Atom),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    ]


for name, result, arguments in [
    ("XOpenDisplay", Pointer, [ctypes.c_char_p]),
    ("XDefaultRootWindow", XID, [Pointer]),
    ("XInternAtom", Atom, [Pointer, ctypes.c_char_p, ctypes.c_int]),
    ("XFetchName", ctypes.c_int, [Pointer, XID, ctypes.POINTER(ctypes.c_char_p)]),
    ("XQueryTree", ctypes.c_int, [Pointer, XID, ctypes.POINTER(XID), ctypes.POINTER(XID),
                                  ctypes.POINTER(ctypes.POINTER(XID)), ctypes.POINTER(ctypes.c_uint)]),
    ("XSendEvent", ctypes.c_int, [Pointer, XID, ctypes.c_int, ctypes.c_long, Pointer]),
    ("XSync", ctypes.c_int, [Pointer, ctypes.c_int]),
]:
    function = getattr(x11, name)
    function.restype, function.argtypes = result, arguments


def children(display, window):
    root, parent, count = XID(), XID(), ctypes.c_uint()
    found = ctypes.POINTER(XID)()
    if not x11.XQueryTree(display, window, root, parent, ctypes.byref(found), count):
        return []
    return [found[i] for i in range(count.value)]


def title(display, window):
    name = ctypes.c_char_p()
    return name.value.decode() if x11.XFetchName(display, window, ctypes.byref(name)) and name.value else None


def main(wanted):
    display = x11.XOpenDisplay(None)
    if not display:
        sys.exit("no display")
    root = x11.XDefaultRootWindow(display)
    for window in children(display, root):
        if title(display, window) != wanted:
            continue
        event = ClientMessage(type=CLIENT_MESSAGE, window=window, format=32)
        event.message_type = x11.XInternAtom(display, b"WM_PROTOCOLS", 0)
        event.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
        x11.XSendEvent(display, window, 0, 0, ctypes.byref(event))
        x11.XSync(display, 0)
        return
    sys.exit(f"no window is called {wanted!r}")


if __name__ == "__main__":
    main(sys.argv[1])
