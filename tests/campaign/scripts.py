"""Scripts made from a seed: whatever a program may do to its output folder, and to its processes.

Each notes in a journal beside the folder what it has finished, with its digest. The journal is what
the judge goes by.
"""

import random
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

GRACE = 4.0
"""Seconds that the worker waits for what a script leaves behind."""

_HEAD = r"""
cd "$BEC_OUTPUT_DIR" || exit 99
export OUT=$BEC_OUTPUT_DIR JOURNAL=$CAMPAIGN/$BEC_I_ID.journal
note() { printf '%s\0%s\0' "$1" "$2" >> "$JOURNAL"; }
finish() { note "$(sha256sum < "$OUT/$1" | cut -c1-64)" "$1"; }
write() { mkdir -p "$(dirname -- "$OUT/$1")"; head -c "$2" /dev/urandom > "$OUT/$1"; }
make() { write "$1" "$2"; finish "$1"; }
slowly() { write "$1" 1000; sleep "$2"; head -c 3000 /dev/urandom >> "$OUT/$1"; finish "$1"; }
again() { for n in $(seq 10); do write "$1" 5000; sleep 0.03; done; finish "$1"; }
export -f note finish write make slowly again
"""
_SPICE = [" ", "'", '"', "\n", "\t", "%", "%2F", "+", "?", "#", "&", "<", "*", "~", "ཀ", "é"]
_SPICE += ["e\u0301", "😀", ":", "=", ";", "$HOME", "..", "-", "\x01", "\x7f", "\u2028"]
_CODES = [1, 2, 64, 65, 75, 78, 99, 126, 130, 137, 143, 255]
_SIGNALS = ["TERM", "KILL", "SEGV", "INT", "HUP", "PIPE", "USR1"]


@dataclass
class Script:
    """What a seed makes. `sound` is it if nothing in it is a reason to fail."""

    seed: int
    text: str = ""
    sound: bool = True
    parts: list[str] = field(default_factory=list)


class _Maker:
    """Puts one script together."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.script = Script(seed)
        self._lines: list[str] = []
        self._taken: set[str] = set()

    def make(self) -> Script:
        pick = self.random
        for _ in range(pick.randint(1, 8)):
            self._do(pick.choice(_SOUND))
        if pick.random() < 0.3:
            self._do(pick.choice(_UNSOUND))
        pick.shuffle(self._lines)
        if pick.random() < 0.2:
            self._end()
        else:
            self._lines.append("exit 0")
        self.script.text = _HEAD + "\n".join(self._lines) + "\n"
        return self.script

    def say(self, line: str) -> None:
        self._lines.append(line)

    def unsound(self, line: str) -> None:
        self.script.sound = False
        self._lines.append(line)

    def only(self, line: str) -> None:
        self._lines.clear()
        self.unsound(line)

    def name(self) -> str:
        """Return a name that nothing else has, nor is it a folder of another."""
        pick = self.random
        while True:
            letters = [pick.choice("abcdefghij") for _ in range(pick.randint(1, 6))]
            if pick.random() < 0.4:
                letters.insert(pick.randint(0, len(letters)), pick.choice(_SPICE))
            stem = "".join(letters)
            if stem not in {".", "..", "...."} and stem not in self._taken:
                self._taken.add(stem)
                folders = ["d" * pick.randint(1, 3) + "_" for _ in range(pick.choice([0, 0, 1, 3]))]
                return "/".join([*folders, stem])

    def quoted(self) -> str:
        return shlex.quote(self.name())

    def size(self) -> int:
        pick = self.random
        big = 8 * 1024 * 1024
        return pick.choice(
            [0, 1, 100, 4096, 70_000, 300_000, pick.choice([big - 1, big, 2 * big + 1])]
        )

    def pause(self) -> str:
        return f"{self.random.uniform(0, 0.6):.2f}"

    def away(self, command: str) -> str:
        """Run something in the background, in one of the ways that there are."""
        inner = shlex.quote(command)
        return self.random.choice(
            [
                f"({command}) &",
                f"setsid bash -c {inner} &",
                f"( ( {command} ) & )",
                f"( setsid bash -c {inner} & ) &",
                f"nohup bash -c {inner} > /dev/null 2>&1 & disown",
                f"setsid bash -c {inner} > /dev/null 2>&1 < /dev/null &",
                f"true > >({command})",
            ]
        )

    def _do(self, act: Callable[["_Maker"], None]) -> None:
        self.script.parts.append(act.__name__.strip("_"))
        act(self)

    def _end(self) -> None:
        """End it otherwise than well."""
        pick = self.random
        code = f"exit {pick.choice(_CODES)}"
        end = pick.choice([code, f"kill -{pick.choice(_SIGNALS)} $$; sleep 1; exit 98"])
        self.script.parts.append(end)
        self.unsound(end)


def _file(maker: _Maker) -> None:
    maker.say(f"make {maker.quoted()} {maker.size()}")


def _many(maker: _Maker) -> None:
    folder = maker.quoted()
    count = maker.random.choice([20, 60])
    maker.say(f"for n in $(seq {count}); do make {folder}/$n $((n * 10)); done")


def _deep(maker: _Maker) -> None:
    maker.say(f"make {'/'.join(['n'] * 40)}/{maker.quoted()} 10")


def _gone(maker: _Maker) -> None:
    name = maker.quoted()
    maker.say(f"make {name} 10; rm -- {name}; note gone {name}")


def _late(maker: _Maker) -> None:
    maker.say(maker.away(f"sleep {maker.pause()}; make {maker.quoted()} {maker.size()}"))


def _slow(maker: _Maker) -> None:
    maker.say(maker.away(f"slowly {maker.quoted()} {maker.pause()}"))


def _rewritten(maker: _Maker) -> None:
    maker.say(maker.away(f"again {maker.quoted()}"))


def _renamed(maker: _Maker) -> None:
    draft, name = maker.quoted(), maker.quoted()
    move = f'mkdir -p "$(dirname -- "$OUT/"{name})"; mv -- "$OUT/"{draft} "$OUT/"{name}'
    maker.say(maker.away(f"write {draft} 2000; sleep {maker.pause()}; {move}; finish {name}"))


def _piped(maker: _Maker) -> None:
    name = maker.quoted()
    maker.say(f"write {name} 0; seq {maker.random.choice([10, 300_000])} |")
    maker._lines[-1] += f' tee >(gzip -9 > "$OUT/"{name}; finish {name}) > /dev/null'


def _link(maker: _Maker) -> None:
    name, link = maker.quoted(), shlex.quote(maker.name().rpartition("/")[2])
    flag = maker.random.choice(["-s", ""])
    maker.say(f'make {name} 500; ln {flag} -- "$OUT/"{name} {link}; finish {link}')


def _link_out(maker: _Maker) -> None:
    link = shlex.quote(maker.name().rpartition("/")[2])
    maker.say(f"ln -s -- /etc/passwd {link}; finish {link}")


def _sparse(maker: _Maker) -> None:
    name = shlex.quote(maker.name().rpartition("/")[2])
    maker.say(f"truncate -s 9M -- {name}; finish {name}")


def _stopped(maker: _Maker) -> None:
    maker.say("( sleep 0.3; kill -CONT $$ ) & kill -STOP $$")


def _noise(maker: _Maker) -> None:
    maker.say(r"printf 'bec-progress 1/3 pages\rbec-progress 2/3'; seq 20000 >&2; printf '\0\xff'")


def _deaf(maker: _Maker) -> None:
    maker.say("trap '' TERM HUP INT; exec 2>&-")


def _helper(maker: _Maker) -> None:
    maker.say("sh -c 'sleep 0.1 & sleep 0.2 & true'")


def _daemon(maker: _Maker) -> None:
    maker.unsound(maker.away("exec sleep 1000"))


def _deaf_daemon(maker: _Maker) -> None:
    maker.unsound(maker.away("trap '' TERM HUP INT; while true; do sleep 1000; done"))


def _frozen(maker: _Maker) -> None:
    maker.unsound("sleep 1000 & kill -STOP $!")


def _too_late(maker: _Maker) -> None:
    maker.unsound(maker.away(f"slowly {maker.quoted()} {10 * GRACE}"))


def _mode_of_folder(maker: _Maker) -> None:
    mode = maker.random.choice(["000", "0300", "0100", "0400", "0200"])
    maker.unsound(f"make locked/1 10; chmod {mode} locked")


def _mode_of_file(maker: _Maker) -> None:
    maker.unsound(
        f"make locked.txt 10; chmod {maker.random.choice(['000', '0200', '0100'])} locked.txt"
    )


def _mode_of_all(maker: _Maker) -> None:
    maker.unsound(f'chmod {maker.random.choice(["000", "0300", "0400"])} "$OUT"')


def _dangling(maker: _Maker) -> None:
    maker.unsound(f"ln -s -- nowhere {shlex.quote(maker.name().rpartition('/')[2])}")


def _folder_link(maker: _Maker) -> None:
    maker.unsound(f"mkdir -p real; ln -s -- real {shlex.quote(maker.name().rpartition('/')[2])}")


def _special(maker: _Maker) -> None:
    listen = (
        "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"s\", Listen => 1) or die'"
    )
    maker.unsound(maker.random.choice(["mkfifo f", listen, "ln -s /dev/zero z"]))


def _not_for_it(maker: _Maker) -> None:
    maker.unsound(maker.random.choice(["echo {} > success.json", "make _logs/attempt-1.log 10"]))


def _backslash(maker: _Maker) -> None:
    maker.unsound(r"make 'a\b' 10")


def _not_text(maker: _Maker) -> None:
    maker.unsound(r"make $'caf\xe9' 10")


def _too_long(maker: _Maker) -> None:
    maker.unsound(f"make {'/'.join(['x' * 200] * 6)} 10")


def _removed(maker: _Maker) -> None:
    """Alone: whatever else still writes would make the folder anew, without what was finished."""
    maker.only('make a 10; rm -rf -- "$OUT"; touch "$OUT"')


_SOUND = [_file, _file, _file, _many, _deep, _gone, _late, _slow, _rewritten, _renamed, _piped]
_SOUND += [_link, _link_out, _sparse, _stopped, _noise, _deaf, _helper]
_UNSOUND = [_daemon, _deaf_daemon, _frozen, _too_late, _mode_of_folder, _mode_of_file, _mode_of_all]
_UNSOUND += [
    _dangling,
    _folder_link,
    _special,
    _not_for_it,
    _backslash,
    _not_text,
    _too_long,
    _removed,
]


def script_of(seed: int) -> Script:
    """Return the script of a seed, always the same."""
    return _Maker(seed).make()
