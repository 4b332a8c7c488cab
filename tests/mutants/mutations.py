# SPDX-License-Identifier: MIT
"""
The mutants of a C source: each changes one operator, constant, condition or statement in the body of
a function. Comments, strings, the preprocessor, declarations and assertions (mm__check()) stay as
they are. So do memory orders: no test on one machine can refute a wrong one, see tests/model.
"""
import re
from collections import namedtuple

# text[start:end] of file becomes new.
Mutant = namedtuple("Mutant", "file line column start end old new")
Token = namedtuple("Token", "kind text pos")

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:\\\n|[^\n])*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|&&|\|\||<<|>>|[<>=!+\-*/%&|^]=|[^\s])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)

OPERATORS = {
    "<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"],
    "==": ["!="], "!=": ["=="], "&&": ["||"], "||": ["&&"], "++": ["--"], "--": ["++"],
    "+=": ["-="], "-=": ["+="], "|=": ["&="], "&=": ["|="],
}
# As binary operators only.
BINARY = {"+": ["-"], "-": ["+"], "&": ["|"], "|": ["&"], "<<": [">>"], ">>": ["<<"], "%": ["/"]}
ASSERTIONS = re.compile(r"mm__check\w*|assert|_Static_assert|static_assert")
TYPES = re.compile(r"struct|union|enum|const|static|unsigned|signed|void|char|short|int|long|bool|"
                   r"double|float|volatile|_Atomic|_Alignas|\w+_t")
KEYWORDS = {"if", "for", "while", "do", "switch", "case", "default", "return", "goto", "break",
            "continue", "else", "sizeof"}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--"}


def tokens(text):
    return [Token(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(text)
            if m.lastgroup != "skip"]


def closing(toks, i):
    """The index of the bracket that closes the one at i."""
    depth = 0
    for j in range(i, len(toks)):
        if toks[j].text in ("(", "[", "{"):
            depth += 1
        elif toks[j].text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                return j
    raise ValueError("a bracket is not closed")


def bodies(toks):
    """The bodies of functions, as pairs of the indices of their braces."""
    i = 0
    while i < len(toks):
        if toks[i].text in ("(", "["):
            i = closing(toks, i)
        elif toks[i].text == "{":
            end = closing(toks, i)
            if toks[i - 1].text == ")":
                yield i, end
            elif toks[i - 1].kind != "string": # not extern "C" {
                i = end
        i += 1


class Body:
    def __init__(self, file, text, toks, first, last):
        self.file, self.text, self.toks, self.first, self.last = file, text, toks, first, last
        self.found = []

    def mutant(self, start, end, new):
        line = self.text.count("\n", 0, start) + 1
        column = start - self.text.rfind("\n", 0, start)
        self.found.append(Mutant(self.file, line, column, start, end, self.text[start:end], new))

    def token(self, i, new):
        self.mutant(self.toks[i].pos, self.toks[i].pos + len(self.toks[i].text), new)

    def is_binary(self, i):
        before = self.toks[i - 1]
        return before.kind in ("number", "name") and before.text not in KEYWORDS or before.text in (")", "]")

    def operator(self, i):
        text = self.toks[i].text
        for new in OPERATORS.get(text, []):
            self.token(i, new)
        if text in BINARY and self.is_binary(i):
            for new in BINARY[text]:
                self.token(i, new)
        if text == "!":
            self.token(i, "")

    def constant(self, i):
        m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", self.toks[i].text)
        if not m:
            return
        value = int(m[1], 0) if m[1].lower().startswith("0x") else int(m[1])
        for new in [0, 2] if value == 1 else [value + 1]:
            self.token(i, str(new) + m[2])

    def condition(self, i):
        """Of an if or a while: the other way round; of an if, never and always too."""
        close = closing(self.toks, i + 1)
        start, end = self.toks[i + 1].pos, self.toks[close].pos + 1
        inside = [t.text for t in self.toks[i + 2:close]]
        whole = self.text[start:end]
        # A single comparison or "!" gives the same as its operator.
        simple = sum(t in ("<", ">", "<=", ">=", "==", "!=", "!") for t in inside) == 1
        if "&&" in inside or "||" in inside or not simple:
            self.mutant(start, end, "(!" + whole + ")")
        if self.toks[i].text == "if":
            self.mutant(start, end, "(0 && " + whole + ")")
            self.mutant(start, end, "(1 || " + whole + ")")

    def statement(self, i):
        """The statement that begins at i, without it, or with another result or jump."""
        head = self.toks[i].text
        end = i
        while self.toks[end].text != ";":
            if self.toks[end].text in ("(", "[", "{"):
                end = closing(self.toks, end)
            end += 1
            if end >= self.last:
                return
        start, stop = self.toks[i].pos, self.toks[end].pos + 1
        texts = [t.text for t in self.toks[i:end]]
        if head == "return":
            if len(texts) == 1:
                self.mutant(start, stop, ";")
            elif texts[1:] not in (["0"], ["false"], ["NULL"], ["1"], ["true"]):
                self.mutant(start, stop, "return 0;")
        elif head in ("break", "continue"):
            self.mutant(start, stop, "continue;" if head == "break" else "break;")
        elif head == "goto":
            self.mutant(start, stop, ";")
        elif self.is_effect(texts):
            self.mutant(start, stop, ";" + "\n" * self.text.count("\n", start, stop))

    def is_effect(self, texts):
        if texts[0] in ("*", "++", "--"):
            return True
        if texts[0] in KEYWORDS or len(texts) < 2 or TYPES.fullmatch(texts[0]):
            return False
        return texts[1] == "(" or any(t in ASSIGNMENTS for t in texts) and texts[1] not in ("*", ":") \
            and re.fullmatch(r"[A-Za-z_]\w*", texts[1]) is None

    def begins(self, i, depth):
        """Whether a statement begins at i."""
        before = self.toks[i - 1].text
        if depth or self.toks[i].text in ("{", "}", ";"):
            return False
        if before in ("{", "}", ";", "else", "do"):
            return True
        if before == ":":
            return True
        return before == ")" and self.toks[i].kind == "name"

    def mutants(self):
        i, depth = self.first + 1, 0
        while i < self.last:
            token = self.toks[i]
            if token.kind == "name" and ASSERTIONS.fullmatch(token.text) and self.toks[i + 1].text == "(":
                i = closing(self.toks, i + 1) + 1
                continue
            if token.text in ("(", "["):
                depth += 1
            elif token.text in (")", "]"):
                depth -= 1
            if self.begins(i, depth):
                self.statement(i)
            if token.kind == "op":
                self.operator(i)
            elif token.kind == "number":
                self.constant(i)
            elif token.text in ("true", "false"):
                self.token(i, "false" if token.text == "true" else "true")
            elif token.text in ("if", "while") and self.toks[i + 1].text == "(":
                self.condition(i)
            i += 1
        return self.found


def mutants(file, text):
    """All mutants of the text of a file, in the order of their places, each once."""
    toks = tokens(text)
    found = []
    for first, last in bodies(toks):
        found += Body(file, text, toks, first, last).mutants()
    return sorted(set(found), key=lambda m: (m.start, m.end, m.new))


def apply(text, mutant):
    assert text[mutant.start:mutant.end] == mutant.old
    return text[:mutant.start] + mutant.new + text[mutant.end:]


def name(mutant):
    """One line that says what changes, and stays the same while the line does."""
    def short(s):
        return " ".join(s.split()) or "nothing"
    return f"{mutant.file}:{mutant.line}:{mutant.column}: {short(mutant.old)} -> {short(mutant.new)}"
