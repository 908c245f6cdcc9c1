"""A panel without pixels: owns org.kde.StatusNotifierWatcher and works the one item that registers.

Reads a JSON object a line from stdin, answers each with one on stdout:

    {"do": "look"}                     {"item": null} or {"item": {"icon": PATH, "menu": [{"id", "label", "enabled"}]}}
    {"do": "click", "label": "Quit"}   {"clicked": true}, or {"error": why} when there is no such item or it is off
"""

import json
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

WATCHER = "org.kde.StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"
TIMEOUT_S = 5


class Watcher(dbus.service.Object):
    """The registry that a panel offers."""

    def __init__(self, bus):
        self.bus = bus
        self.item = None
        self.name = dbus.service.BusName(WATCHER, bus, do_not_queue=True)
        super().__init__(self.name, "/StatusNotifierWatcher")

    @dbus.service.method(WATCHER, in_signature="s", sender_keyword="sender")
    def RegisterStatusNotifierItem(self, service, sender=None):
        # libappindicator sends its object's path and not its name.
        path = service if service.startswith("/") else "/StatusNotifierItem"
        self.item = (sender, path)
        self.StatusNotifierItemRegistered(f"{sender}{path}")

    @dbus.service.method(WATCHER, in_signature="s")
    def RegisterStatusNotifierHost(self, service):
        pass

    @dbus.service.signal(WATCHER, signature="s")
    def StatusNotifierItemRegistered(self, service):
        pass

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return self.GetAll(interface)[name]

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        items = [f"{self.item[0]}{self.item[1]}"] if self.item else []
        return {
            "IsStatusNotifierHostRegistered": True,
            "ProtocolVersion": dbus.Int32(0),
            "RegisteredStatusNotifierItems": dbus.Array(items, signature="s"),
        }

    def property(self, name):
        proxy = self.bus.get_object(*self.item, introspect=False)
        return proxy.Get(ITEM, name, dbus_interface=dbus.PROPERTIES_IFACE, timeout=TIMEOUT_S)

    def menu(self):
        return self.bus.get_object(self.item[0], self.property("Menu"), introspect=False)

    def entries(self):
        layout = self.menu().GetLayout(
            dbus.Int32(0), dbus.Int32(-1), dbus.Array([], signature="s"), dbus_interface=MENU, timeout=TIMEOUT_S
        )
        for number, properties, _ in layout[1][2]:
            if properties.get("type") != "separator":
                # libdbusmenu leaves out what has its default value; an underscore marks the access key.
                label = str(properties.get("label", "")).replace("_", "")
                yield {"id": int(number), "label": label, "enabled": bool(properties.get("enabled", True))}

    def is_there(self):
        return self.item is not None and self.bus.name_has_owner(self.item[0])

    def look(self):
        if not self.is_there():
            return {"item": None}
        try:
            return {"item": {"icon": str(self.property("IconName")), "menu": list(self.entries())}}
        except dbus.DBusException:
            if self.is_there():
                raise
            return {"item": None}

    def click(self, label):
        for entry in self.entries():
            if entry["label"] == label and entry["enabled"]:
                try:
                    self.menu().Event(
                        dbus.Int32(entry["id"]), "clicked", dbus.String("", variant_level=1), dbus.UInt32(0),
                        dbus_interface=MENU, timeout=TIMEOUT_S,
                    )
                except dbus.DBusException:
                    # An app that was told to quit may be gone before it answers.
                    if self.is_there():
                        raise
                return {"clicked": True}
        return {"error": f"no item {label!r} that is on: {list(self.entries())}"}

    def answer(self, request):
        try:
            return self.click(request["label"]) if request["do"] == "click" else self.look()
        except dbus.DBusException as error:
            return {"error": str(error)}


def main():
    DBusGMainLoop(set_as_default=True)
    watcher = Watcher(dbus.SessionBus())
    loop = GLib.MainLoop()

    def read(channel, _):
        line = channel.readline()
        if not line:
            loop.quit()
            return False
        print(json.dumps(watcher.answer(json.loads(line))), flush=True)
        return True

    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, read)
    print(json.dumps({"ready": True}), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
