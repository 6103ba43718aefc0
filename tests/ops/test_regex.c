// SPDX-License-Identifier: Apache-2.0
// Regular expressions: what they match, what is refused, and that hostile ones stay quick.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
// after the standard headers
#include <cmocka.h>

#include "ops/parts/regex.h"

static arena memory;
static int make(void **state) {
  arena_init(&memory, NULL);
  return 0;
}
static int drop(void **state) {
  arena_deinit(&memory);
  return 0;
}

static bool matches(const char *pattern, str text) {
  const char *problem;
  size_t at;
  const regex *r = regex_compile(&memory, str_from(pattern), &problem, &at);
  if (!r) fail_msg("%s: %s at %zu", pattern, problem, at);
  return regex_matches(r, text, arena_alloc(&memory, regex_scratch_bytes(r)));
}
#define YES(pattern, text) \
  if (!matches(pattern, STR(text))) fail_msg("%s should match %s", pattern, text)
#define NO(pattern, text) \
  if (matches(pattern, STR(text))) fail_msg("%s should not match %s", pattern, text)

static void refused(const char *pattern, const char *why) {
  const char *problem;
  size_t at;
  assert_null(regex_compile(&memory, str_from(pattern), &problem, &at));
  assert_non_null(problem);
  assert_non_null(strstr(problem, why));
}

static void plain(void **state) {
  YES("", "");
  NO("", "a");
  YES("abc", "abc");
  NO("abc", "abcd");
  NO("abc", "ab");
  YES("a|bc|", "bc");
  YES("a|bc|", "");
  YES("(a|ab)(c|bcd)(d*)", "abcd");
  YES("www\\.[\\w.-]+\\.\\bcom\\b", "www.google.com");
  NO("www\\.[\\w.-]+\\.\\bcom\\b", "www.hotmail.comx");
  YES("(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@gmail.com");
  NO("(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "account@hotmail.com");
}

static void repetition(void **state) {
  YES("a*", "");
  YES("a+?b", "aaab");
  NO("a+", "");
  YES("a{2,3}", "aaa");
  NO("a{2,3}", "aaaa");
  NO("a{2,3}", "a");
  YES("a{2,}", "aaaaa");
  YES("(a?){3}b", "aab");
  YES("(ab){0}", "");
  YES("a{,2}", "a{,2}");
  YES("(a*)*", "aaa");
  YES("(|a)+", "aa");
  YES("(){1000}", "");
}

static void sets(void **state) {
  YES("[a-c]+", "abc");
  NO("[^a-c]", "b");
  YES("[]a]+", "]a");
  YES("[^]a]", "b");
  YES("[a-]+", "a-");
  YES("[[:alpha:]\\d]+", "x7");
  NO("[[:^alpha:]]", "x");
  YES("\\D\\S\\W", "ab-");
  YES(".", "\xc3\xa4");
  NO(".", "\n");
  YES("(?s).", "\n");
  YES("[\xc3\xa4-\xc3\xb6]", "\xc3\xa5");
  YES("\\x{1F600}", "\xf0\x9f\x98\x80");
  YES("\\x41\\101\\n\\Qa.b\\E", "AA\na.b");
}

static void flags_and_edges(void **state) {
  YES("(?i)straSSe\xc3\x84", "STRAsse\xc3\xa4");
  YES("a(?i:b)c", "aBc");
  NO("a(?i:b)c", "aBC");
  YES("(?i)[^x]", "y");
  NO("(?i)[^x]", "X");
  YES("^a$", "a");
  NO("a$\\n", "a\n");
  YES("(?m)a$\\n^b", "a\nb");
  YES("\\Aa\\z", "a");
  YES("a\\b b", "a b");
  YES("(?P<name>a)(?<other>b)(?:c)", "abc");
}

static void bad_text(void **state) {
  NO("(?s).", "\xff");
  NO("(?s).*", "a\xc3");
  NO("[^a]", "\x80");
}

static void bad_patterns(void **state) {
  refused("(", "missing )");
  refused("a)", "closes nothing");
  refused("[a", "missing ]");
  refused("[b-a]", "ends before");
  refused("*a", "repetition of nothing");
  refused("a**", "repetition of a repetition");
  refused("a{1001}", "count");
  refused("a{3,2}", "count");
  refused("\\", "backslash");
  refused("\\pL", "Unicode class");
  refused("\\8", "escape");
  refused("(?<1", "name");
  refused("(?=a)", "group");
  refused("\xff", "UTF-8");
  refused("((((a{100}){100}){100}){100})", "too large");
  char deep[2001];
  memset(deep, '(', 1000);
  memset(deep + 1000, ')', 1000);
  deep[2000] = 0;
  refused(deep, "deeply");
}

static void stays_quick(void **state) {
  static char text[100000];
  memset(text, 'a', sizeof text);
  clock_t start = clock();
  assert_false(matches("(a*)*(a*)*(a|aa)+b", (str){text, sizeof text}));
  assert_false(matches("(x+x+)+y", (str){text, sizeof text}));
  assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
}

// Leftmost, then longest.
static void finds(void **state) {
  static const struct {
    const char *pattern, *text;
    size_t from;
    int begin, end;
  } cases[] = {{"a+", "bbaab", 0, 2, 4},
               {"a|ab|abc", "xabcd", 0, 1, 4},
               {"bc|abcd|ab", "abce", 0, 0, 2},
               {"b.*d|abc", "abce", 0, 0, 3},
               {"a*", "baa", 0, 0, 0},
               {"a*", "baa", 1, 1, 3},
               {"^a", "aa", 1, -1, 0},
               {"a$", "aa", 0, 1, 2},
               {"\\bab", "xab ab", 0, 4, 6},
               {"x", "", 0, -1, 0},
               {"", "", 0, 0, 0},
               {"[^a]", "a\xc3\xa9z", 0, 1, 3},
               {"abcd|bc", "abcx", 0, 1, 3},
               {"\\Bb", "\xc3\xa9 ab", 3, 4, 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *problem;
    size_t at, begin = 0, end = 0;
    const regex *r = regex_compile(&memory, str_from(cases[i].pattern), &problem, &at);
    assert_non_null(r);
    void *scratch = arena_alloc(&memory, regex_scratch_bytes(r));
    bool found = regex_find(r, str_from(cases[i].text), cases[i].from, scratch, &begin, &end);
    if (found != (cases[i].begin >= 0) || (found && ((int)begin != cases[i].begin || (int)end != cases[i].end)))
      fail_msg("%s in %s: %d %zu %zu", cases[i].pattern, cases[i].text, found, begin, end);
  }
  static char text[100000];
  memset(text, 'a', sizeof text);
  const char *problem;
  size_t at, begin, end;
  const regex *r = regex_compile(&memory, STR("(a*)*b|aac"), &problem, &at);
  clock_t start = clock();
  assert_false(regex_find(r, (str){text, sizeof text}, 0, arena_alloc(&memory, regex_scratch_bytes(r)), &begin, &end));
  assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain),           cmocka_unit_test(repetition), cmocka_unit_test(sets),
      cmocka_unit_test(flags_and_edges), cmocka_unit_test(bad_text),   cmocka_unit_test(bad_patterns),
      cmocka_unit_test(stays_quick),     cmocka_unit_test(finds),
  };
  return cmocka_run_group_tests(tests, make, drop);
}
