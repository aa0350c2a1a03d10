/* SPDX-License-Identifier: GPL-2.0 */
/* The statistics of the evaluation: medians and their bootstrap intervals. */
#ifndef SUMMARISE_STATS_H
#define SUMMARISE_STATS_H

#include <stddef.h>

enum { STATS_RESAMPLES = 10000 };

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

/* Median and 95 % percentile bootstrap interval of @n > 0 values. Returns 0 or -ENOMEM. */
int stats_estimate(const double *x, size_t n, unsigned long seed, struct stats_estimate *e);

#endif
