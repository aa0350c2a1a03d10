/* SPDX-License-Identifier: GPL-2.0 */
/* The statistics of the evaluation: medians, their bootstrap intervals, effect sizes, outliers, lines. */
#ifndef SUMMARISE_STATS_H
#define SUMMARISE_STATS_H

#include <stddef.h>

enum {
	STATS_RESAMPLES = 10000,
	STATS_INTERVAL_LEAST = 6, /* values that a 95 % interval of their median needs */
};

struct stats_estimate {
	double median, low, high;
};

/* Median of @n > 0 values; the mean of the two middle ones if @n is even. Sorts @x. */
double stats_median(double *x, size_t n);

/*
 * @resamples medians of samples drawn with replacement from @x (Efron 1979), into @medians,
 * ascending. The same @seed draws the same samples. Returns 0 or -ENOMEM.
 */
int stats_bootstrap_medians(const double *x, size_t n, unsigned long seed, double *medians,
			    size_t resamples);

/*
 * Median and 95 % percentile bootstrap interval of @n > 0 values. Returns 0 or -ENOMEM.
 * Of fewer than STATS_INTERVAL_LEAST there is no such interval: even from the smallest to the largest,
 * which is what @e then holds, the median of what they come from lies with 1 - 2^(1 - n) only, 75 % of
 * the time for three.
 */
int stats_estimate(const double *x, size_t n, unsigned long seed, struct stats_estimate *e);

/*
 * Cliff's delta (1993): how much more often a value of @x is above one of @y than below, -1 to 1.
 * 0 says that the two overlap wholly, 1 that every @x is above every @y.
 */
double stats_cliffs_delta(const double *x, size_t nx, const double *y, size_t ny);

struct stats_fences {
	double low, high;
};

/* Tukey's fences (1977): one and a half interquartile ranges outside the quartiles. Returns 0 or -ENOMEM. */
int stats_fences(const double *x, size_t n, struct stats_fences *f);

struct stats_line {
	double fixed, slope;
};

/*
 * The line through @n > 1 points with the least squares of (y - line) / @scale: with @scale = @y a
 * millisecond weighs more where there are few. @scale may be NULL: all the same.
 */
void stats_fit(const double *x, const double *y, const double *scale, size_t n,
	       struct stats_line *l);

#endif
