"""What a disk may hold after a crash: a file system that remembers every operation of a traced program, and which of them
were made durable. After a crash each file has what it had at its last fsync and any of the writes since, whole or in part;
each folder has the names of its last fsync and the first few changes since. Nothing else orders them."""
import os
import pathlib
import re

CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
SECTOR = 8  # finer than any disk: a write may be torn anywhere


def unquote(text):
    return bytes.fromhex(text.replace("\\x", ""))


class File:
    def __init__(self):
        self.changes = []  # ("write", offset, bytes) and ("cut", length)
        self.durable = 0   # of those

    def content(self, changes):
        data = bytearray()
        for kind, at, *more in changes:
            if kind == "cut":
                del data[at:]
                data.extend(bytes(at - len(data)))
            else:
                data.extend(bytes(max(0, at - len(data))))
                data[at:at + len(more[0])] = more[0]
        return bytes(data)


class Folder:
    def __init__(self):
        self.changes = []  # each a list of (name, what it means now, or None)
        self.durable = 0

    def names(self, changes):
        found = {}
        for change in changes:
            for name, node in change:
                found.pop(name, None)
                if node is not None:
                    found[name] = node
        return found


class Recorder:
    """Follows a trace of strace -xx below one folder."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.tree = Folder()
        self.open, self.where = {}, {}
        self.load(self.root, self.tree)

    def load(self, path, folder):
        """What was there before counts as durable."""
        for entry in sorted(path.iterdir()):
            node = Folder() if entry.is_dir() else File()
            if entry.is_dir():
                self.load(entry, node)
            else:
                node.changes, node.durable = [("write", 0, entry.read_bytes())], 1
            folder.changes.append([(entry.name, node)])
        folder.durable = len(folder.changes)

    def find(self, path):
        """The folder that a path's last name is in, and that name; None for what lies elsewhere."""
        try:
            parts = pathlib.Path(os.path.normpath(path)).relative_to(self.root).parts
        except ValueError:
            return None
        folder = self.tree
        for part in parts[:-1]:
            folder = folder.names(folder.changes)[part]
        return (folder, parts[-1]) if parts else (None, None)

    def node(self, path):
        found = self.find(path)
        if found is None:
            return None
        folder, name = found
        return self.tree if folder is None else folder.names(folder.changes).get(name)

    def follow(self, line):
        """Whether it changed anything, or made something durable."""
        match = CALL.match(line)
        if not match or match[3].startswith("-"):
            return False
        call, arguments, result = match[1], match[2], int(match[3])
        handler = getattr(self, "on_" + call, None)
        texts = [unquote(text) for text in STRING.findall(arguments)]
        return bool(handler and handler(arguments, texts, result))

    def on_openat(self, arguments, texts, descriptor):
        self.open.pop(descriptor, None)
        found = self.find(texts[0].decode())
        if found is None:
            return False
        folder, name = found
        node = self.node(texts[0].decode())
        created = node is None
        if created:
            node = File()
            folder.changes.append([(name, node)])
        if "O_TRUNC" in arguments:
            node.changes.append(("cut", 0))
        self.open[descriptor], self.where[descriptor] = node, 0
        return created or "O_TRUNC" in arguments

    def on_close(self, arguments, _texts, _result):
        self.open.pop(int(arguments), None)

    def on_lseek(self, arguments, _texts, result):
        self.where[int(arguments.split(",")[0])] = result

    def on_read(self, arguments, _texts, result):
        self.where[int(arguments.split(",")[0])] = self.where.get(int(arguments.split(",")[0]), 0) + result

    def on_write(self, arguments, texts, result):
        descriptor = int(arguments.split(",")[0])
        if not isinstance(self.open.get(descriptor), File):
            return False
        self.open[descriptor].changes.append(("write", self.where[descriptor], texts[0][:result]))
        self.where[descriptor] += result
        return True

    def on_pwrite64(self, arguments, texts, result):
        descriptor = int(arguments.split(",")[0])
        if not isinstance(self.open.get(descriptor), File):
            return False
        offset = int(arguments.rsplit(",", 1)[1])
        self.open[descriptor].changes.append(("write", offset, texts[0][:result]))
        return True

    def on_ftruncate(self, arguments, _texts, _result):
        descriptor, length = map(int, arguments.split(","))
        if descriptor in self.open:
            self.open[descriptor].changes.append(("cut", length))
        return descriptor in self.open

    def on_fsync(self, arguments, _texts, _result):
        node = self.open.get(int(arguments))
        if node is not None:
            node.durable = len(node.changes)
        return node is not None

    on_fdatasync = on_fsync

    def change(self, *changes):
        """(path, node) of one folder at once: atomically, as rename is."""
        places = [self.find(path) for path, _ in changes]
        if any(place is None for place in places):
            return False
        assert len({id(folder) for folder, _ in places}) == 1, "a rename between folders"
        places[0][0].changes.append([(name, node) for (_, name), (_, node) in zip(places, changes)])
        return True

    def on_mkdir(self, _arguments, texts, _result):
        return self.change((texts[0].decode(), Folder()))

    def on_unlink(self, _arguments, texts, _result):
        return self.change((texts[0].decode(), None))

    on_rmdir = on_unlink

    def at(self, number, path):
        node = self.open.get(number)
        assert node is None, "a path relative to an open folder of the store"
        return path

    def on_unlinkat(self, arguments, texts, _result):
        number = arguments.split(",")[0]
        if number == "AT_FDCWD":
            return self.change((texts[0].decode(), None))
        folder = self.open.get(int(number))
        if folder is not None:
            folder.changes.append([(texts[0].decode(), None)])
        return folder is not None

    def on_rename(self, _arguments, texts, _result):
        source, target = texts[0].decode(), texts[1].decode()
        node = self.node(source)
        return self.change((source, None), (target, node)) if node is not None else False

    # ---- what is left of it ----------------------------------------------------------------------

    def survivors(self, random):
        """A tree of names to bytes or trees. Without `random` only what is durable; `random` chooses the rest."""
        return self.folder_after(self.tree, random)

    def folder_after(self, folder, random):
        pending = len(folder.changes) - folder.durable
        kept = folder.durable + (random.choice([pending, random.randint(0, pending)]) if random else 0)
        names = folder.names(folder.changes[:kept])
        return {name: self.folder_after(node, random) if isinstance(node, Folder) else self.file_after(node, random)
                for name, node in names.items()}

    @staticmethod
    def file_after(file, random):
        kept = file.changes[:file.durable]
        chance = random.choice([0.0, 0.5, 0.9, 1.0]) if random else 0.0
        for change in file.changes[file.durable:]:
            if random is None or random.random() >= chance:
                continue
            if change[0] == "write" and random.random() < 0.5:  # torn
                whole = len(change[2]) // SECTOR
                change = ("write", change[1], change[2][:SECTOR * random.randint(0, whole)])
            kept = [*kept, change]
        return file.content(kept)


def materialize(tree, path):
    path.mkdir()
    for name, node in tree.items():
        if isinstance(node, dict):
            materialize(node, path / name)
        else:
            (path / name).write_bytes(node)
