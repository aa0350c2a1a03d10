// links: scenarios/summarise/stats.c
// SPDX-License-Identifier: GPL-2.0
/* The statistics against published and exact values. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>

#include "scenarios/summarise/stats.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Survival of the treated mice, Efron and Tibshirani, "An Introduction to the Bootstrap", table 2.1. */
static const double mice[] = { 94, 197, 16, 38, 99, 141, 23 };

static void test_median(void **state)
{
	double odd[] = { 5, 1, 4 }, even[] = { 4, 1, 3, 2 }, one[] = { 7 };
	double copy[COUNT(mice)];

	(void)state;
	assert_float_equal(stats_median(odd, 3), 4, 0);
	assert_float_equal(stats_median(even, 4), 2.5, 0);
	assert_float_equal(stats_median(one, 1), 7, 0);
	for (size_t i = 0; i < COUNT(mice); i++)
		copy[i] = mice[i];
	assert_float_equal(stats_median(copy, COUNT(mice)), 94, 0);
}

/* Table 2.2 of the same book: the bootstrap standard error of that median tends to 37.83. */
static void test_bootstrap_published(void **state)
{
	enum { MANY = 200000 };
	double *medians = calloc(MANY, sizeof(*medians));

	(void)state;
	assert_non_null(medians);
	assert_int_equal(stats_bootstrap_medians(mice, COUNT(mice), 7, medians, MANY), 0);
	assert_float_equal(gsl_stats_sd(medians, 1, MANY), 37.83, 0.2);
	free(medians);
}

/*
 * For odd n the bootstrap distribution of the median is known: the resampled median is at most the
 * k-th smallest value exactly when at least (n + 1) / 2 of n draws are.
 */
static void test_bootstrap_exact(void **state)
{
	enum { N = 21, MANY = 100000 };
	double *medians = calloc(MANY, sizeof(*medians));
	double x[N];

	(void)state;
	assert_non_null(medians);
	for (int i = 0; i < N; i++)
		x[(i * 8) % N] = i + 1; /* 1 … 21, shuffled */
	assert_int_equal(stats_bootstrap_medians(x, N, 3, medians, MANY), 0);
	for (int k = 6; k <= 16; k++) {
		double exact = gsl_cdf_binomial_Q((N + 1) / 2 - 1, (double)k / N, N);
		size_t below = 0;

		while (below < MANY && medians[below] <= k)
			below++;
		assert_float_equal((double)below / MANY, exact, 0.006);
	}
	free(medians);
}

/* The 95 % interval of 1 … 21 by that exact distribution is 7 … 15. */
static void test_interval(void **state)
{
	struct stats_estimate a, b, c;
	double x[21];

	(void)state;
	for (int i = 0; i < 21; i++)
		x[i] = 21 - i;
	assert_int_equal(stats_estimate(x, 21, 1, &a), 0);
	assert_float_equal(a.median, 11, 0);
	assert_float_equal(a.low, 7, 0);
	assert_float_equal(a.high, 15, 0);
	assert_float_equal(x[0], 21, 0); /* the caller's order is kept */
	assert_int_equal(stats_estimate(x, 21, 1, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a)); /* same seed, same interval */
	assert_int_equal(stats_estimate(x, 1, 1, &c), 0);
	assert_float_equal(c.low, 21, 0);
	assert_float_equal(c.high, 21, 0);
}

/* Of 200 samples of 21 from a known distribution, about 95 % of the intervals hold its median. */
static void test_coverage(void **state)
{
	unsigned int seed = 12345;
	int held = 0;

	(void)state;
	for (int sample = 0; sample < 200; sample++) {
		struct stats_estimate e;
		double x[21];

		for (int i = 0; i < 21; i++)
			x[i] = -log((rand_r(&seed) + 1.0) / (RAND_MAX + 2.0));
		assert_int_equal(stats_estimate(x, 21, sample, &e), 0);
		held += e.low <= M_LN2 && M_LN2 <= e.high;
	}
	assert_in_range(held, 178, 199);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),		cmocka_unit_test(test_bootstrap_published),
		cmocka_unit_test(test_bootstrap_exact), cmocka_unit_test(test_interval),
		cmocka_unit_test(test_coverage),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
