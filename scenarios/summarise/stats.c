// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios/summarise/stats.h"

double stats_median(double *x, size_t n)
{
	gsl_sort(x, 1, n);
	return gsl_stats_median_from_sorted_data(x, 1, n);
}

int stats_bootstrap_medians(const double *x, size_t n, unsigned long seed, double *medians,
			    size_t resamples)
{
	double *sample = malloc(n * sizeof(*sample));
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int err = -ENOMEM;

	if (!sample || !rng)
		goto out;
	gsl_rng_set(rng, seed);
	for (size_t i = 0; i < resamples; i++) {
		for (size_t j = 0; j < n; j++)
			sample[j] = x[gsl_rng_uniform_int(rng, n)];
		medians[i] = stats_median(sample, n);
	}
	gsl_sort(medians, 1, resamples);
	err = 0;
out:
	if (rng)
		gsl_rng_free(rng);
	free(sample);
	return err;
}

int stats_estimate(const double *x, size_t n, unsigned long seed, struct stats_estimate *e)
{
	double *medians = malloc(STATS_RESAMPLES * sizeof(*medians));
	double *copy = malloc(n * sizeof(*copy));
	int err = -ENOMEM;

	if (!medians || !copy)
		goto out;
	memcpy(copy, x, n * sizeof(*copy));
	e->median = stats_median(copy, n);
	err = stats_bootstrap_medians(x, n, seed, medians, STATS_RESAMPLES);
	if (err)
		goto out;
	e->low = gsl_stats_quantile_from_sorted_data(medians, 1, STATS_RESAMPLES, 0.025);
	e->high = gsl_stats_quantile_from_sorted_data(medians, 1, STATS_RESAMPLES, 0.975);
out:
	free(copy);
	free(medians);
	return err;
}
