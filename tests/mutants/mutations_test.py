# SPDX-License-Identifier: MIT
"""What mutations.py changes in a source, and what it leaves alone."""
import unittest

import mutations

SOURCE = r"""/* a < b */
#define LESS(a, b) ((a) < (b))
static const int limits[2] = { 0, 1 };
struct pair { int a, b; };

static int first(struct pair *p, int n)
{
	int i = 0; // i == 0
	const char *s = "x < y";
	char c = '<';

	mm__check(n > 3);
	if (n < 7 && p->a)
		return n;
	while (i < n)
		i++;
	set(p,
	    i);
	p->a = i - n;
	*s = c;
	for (;;) {
		if (!i)
			break;
	}
	return call(-n) & 0x10u;
}
"""


def of(text):
    return [(m.line, " ".join(m.old.split()), m.new.strip()) for m in mutations.mutants("f.c", text)]


class Mutations(unittest.TestCase):
    def test_are_those_of_the_function(self):
        self.assertEqual(of(SOURCE), [
            (8, "0", "1"),
            (13, "(n < 7 && p->a)", "(!(n < 7 && p->a))"),
            (13, "(n < 7 && p->a)", "(0 && (n < 7 && p->a))"),
            (13, "(n < 7 && p->a)", "(1 || (n < 7 && p->a))"),
            (13, "<", "<="), (13, "<", ">="), (13, "7", "8"), (13, "&&", "||"),
            (14, "return n;", "return 0;"),
            (15, "<", "<="), (15, "<", ">="),
            (16, "i++;", ";"), (16, "++", "--"),
            (17, "set(p, i);", ";"),
            (19, "p->a = i - n;", ";"), (19, "-", "+"),
            (20, "*s = c;", ";"),
            (22, "(!i)", "(0 && (!i))"), (22, "(!i)", "(1 || (!i))"), (22, "!", ""),
            (23, "break;", "continue;"),
            (25, "return call(-n) & 0x10u;", "return 0;"), (25, "&", "|"), (25, "0x10u", "17u"),
        ])

    def test_change_one_place_and_keep_the_lines(self):
        for mutant in mutations.mutants("f.c", SOURCE):
            changed = mutations.apply(SOURCE, mutant)
            self.assertNotEqual(changed, SOURCE)
            self.assertEqual(changed.count("\n"), SOURCE.count("\n"))

    def test_have_names_of_their_own(self):
        names = [mutations.name(m) for m in mutations.mutants("f.c", SOURCE)]
        self.assertEqual(len(set(names)), len(names))
        self.assertIn("f.c:13:8: < -> <=", names)


unittest.main()
