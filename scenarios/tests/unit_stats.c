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

/* Five values cannot hold a 95 % interval: smallest and largest, whatever the seed. Six can. */
static void test_few(void **state)
{
	const double x[] = { 5, 1, 9, 3, 7, 11 };

	(void)state;
	for (unsigned long seed = 1; seed <= 20; seed++) {
		struct stats_estimate e;

		assert_int_equal(stats_estimate(x, 3, seed, &e), 0);
		assert_float_equal(e.median, 5, 0);
		assert_float_equal(e.low, 1, 0);
		assert_float_equal(e.high, 9, 0);
		assert_int_equal(stats_estimate(x, 5, seed, &e), 0);
		assert_float_equal(e.median, 5, 0);
		assert_float_equal(e.low, 1, 0);
		assert_float_equal(e.high, 9, 0);
		assert_int_equal(stats_estimate(x, 6, seed, &e), 0);
		assert_float_equal(e.median, 6, 0);
		assert_true(e.low > 1 && e.high < 11);
	}
}

/* Of @samples samples of @n from a known distribution, how many intervals hold its median. */
static int held(int samples, size_t n, unsigned int seed)
{
	int count = 0;

	for (int sample = 0; sample < samples; sample++) {
		struct stats_estimate e;
		double x[21];

		for (size_t i = 0; i < n; i++)
			x[i] = -log((rand_r(&seed) + 1.0) / (RAND_MAX + 2.0));
		assert_int_equal(stats_estimate(x, n, sample, &e), 0);
		count += e.low <= M_LN2 && M_LN2 <= e.high;
	}
	return count;
}

/* The range of three holds the median three times in four, which is why it is called a range. */
static void test_few_coverage(void **state)
{
	(void)state;
	assert_in_range(held(4000, 3, 54321), 4000 * 72 / 100, 4000 * 78 / 100);
}

static void test_coverage(void **state)
{
	(void)state;
	assert_in_range(held(200, 21, 12345), 178, 199); /* about 95 % */
}

/* The example of cliff.delta() in R's package effsize, whose answer is -0.25. */
static void test_cliffs_delta(void **state)
{
	const double x[] = { 10, 10, 20, 20, 20, 30, 30, 30, 40, 50 };
	const double y[] = { 10, 20, 30, 40, 40, 50 };

	(void)state;
	assert_float_equal(stats_cliffs_delta(x, COUNT(x), y, COUNT(y)), -0.25, 1e-12);
	assert_float_equal(stats_cliffs_delta(y, COUNT(y), x, COUNT(x)), 0.25, 1e-12);
	assert_float_equal(stats_cliffs_delta(x + 8, 2, x, 8), 1, 0);
}

/* NIST/SEMATECH e-Handbook of Statistical Methods, 7.1.6: of these 90 values 1441 alone is an outlier. */
static void test_fences_published(void **state)
{
	static const double x[] = { 30,	 171, 184,  201,  212,	250, 265, 270, 272, 289, 305, 306,
				    322, 322, 336,  346,  351,	370, 390, 404, 409, 411, 436, 437,
				    439, 441, 444,  448,  451,	453, 470, 480, 482, 487, 494, 495,
				    499, 503, 514,  521,  522,	527, 548, 550, 559, 560, 570, 572,
				    574, 578, 585,  592,  592,	607, 616, 618, 621, 629, 637, 638,
				    640, 656, 668,  707,  709,	719, 737, 739, 752, 758, 766, 792,
				    792, 794, 802,  818,  830,	832, 843, 858, 860, 869, 918, 925,
				    953, 991, 1000, 1005, 1068, 1441 };
	struct stats_fences f;
	size_t outside = 0;

	(void)state;
	assert_int_equal(COUNT(x), 90);
	assert_int_equal(stats_fences(x, COUNT(x), &f), 0);
	for (size_t i = 0; i < COUNT(x); i++)
		outside += x[i] < f.low || x[i] > f.high;
	assert_int_equal(outside, 1);
	assert_in_range((int)f.high, 1068, 1440);
}

/* NIST Statistical Reference Datasets, Norris: certified to fifteen digits. */
static void test_line_published(void **state)
{
	static const double y[] = { 0.1,   338.8, 118.1, 888.0, 9.2,   228.1, 668.5, 998.5, 449.1,
				    778.9, 559.2, 0.3,	 0.1,	778.1, 668.8, 339.3, 448.9, 10.8,
				    557.7, 228.3, 998.0, 888.8, 119.6, 0.3,   0.6,   557.6, 339.3,
				    888.0, 998.5, 778.9, 10.2,	117.6, 228.9, 668.4, 449.2, 0.2 };
	static const double x[] = { 0.2,   337.4, 118.2, 884.6, 10.1,  226.5, 666.3, 996.3, 448.6,
				    777.0, 558.2, 0.4,	 0.6,	775.5, 666.9, 338.0, 447.5, 11.6,
				    556.0, 228.1, 995.8, 887.6, 120.2, 0.3,   0.3,   556.8, 339.1,
				    887.2, 999.0, 779.0, 11.1,	118.3, 229.2, 669.1, 448.9, 0.5 };
	const double px[] = { 1, 2, 1000 }, py[] = { 13, 16, 3010 };
	struct stats_line l;

	(void)state;
	stats_fit(x, y, NULL, COUNT(x), &l);
	assert_float_equal(l.fixed, -0.262323073774029, 1e-11);
	assert_float_equal(l.slope, 1.00211681802045, 1e-12);
	stats_fit(px, py, py, COUNT(px), &l); /* y = 10 + 3 x, wherever the weight lies */
	assert_float_equal(l.fixed, 10, 1e-9);
	assert_float_equal(l.slope, 3, 1e-11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_bootstrap_published),
		cmocka_unit_test(test_bootstrap_exact),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_cliffs_delta),
		cmocka_unit_test(test_fences_published),
		cmocka_unit_test(test_line_published),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_few_coverage),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
