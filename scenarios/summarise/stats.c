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
	e->median = stats_median(copy, n); /* sorts */
	if (n < STATS_INTERVAL_LEAST) {
		e->low = copy[0];
		e->high = copy[n - 1];
		err = 0;
		goto out;
	}
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

double stats_cliffs_delta(const double *x, size_t nx, const double *y, size_t ny)
{
	long above = 0;

	for (size_t i = 0; i < nx; i++) {
		for (size_t j = 0; j < ny; j++)
			above += (x[i] > y[j]) - (x[i] < y[j]);
	}
	return (double)above / ((double)nx * (double)ny);
}

int stats_fences(const double *x, size_t n, struct stats_fences *f)
{
	double *copy = malloc(n * sizeof(*copy));
	double q1, q3;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, x, n * sizeof(*copy));
	gsl_sort(copy, 1, n);
	q1 = gsl_stats_quantile_from_sorted_data(copy, 1, n, 0.25);
	q3 = gsl_stats_quantile_from_sorted_data(copy, 1, n, 0.75);
	f->low = q1 - 1.5 * (q3 - q1);
	f->high = q3 + 1.5 * (q3 - q1);
	free(copy);
	return 0;
}

void stats_fit(const double *x, const double *y, const double *scale, size_t n,
	       struct stats_line *l)
{
	double sw = 0, swx = 0, swy = 0, sxx = 0, sxy = 0;

	for (size_t i = 0; i < n; i++) {
		double w = scale ? 1 / (scale[i] * scale[i]) : 1;

		sw += w;
		swx += w * x[i];
		swy += w * y[i];
	}
	for (size_t i = 0; i < n; i++) {
		double w = scale ? 1 / (scale[i] * scale[i]) : 1;

		sxx += w * (x[i] - swx / sw) * (x[i] - swx / sw);
		sxy += w * (x[i] - swx / sw) * (y[i] - swy / sw);
	}
	l->slope = sxy / sxx;
	l->fixed = swy / sw - l->slope * swx / sw;
}
