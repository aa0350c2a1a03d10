// SPDX-License-Identifier: GPL-2.0
/*
 * `summarise RUN.json CELLS.jsonl`: one CSV row a mode and file on stdout, as results/README.md
 * defines it. A mode's deltas are the medians of its differences to `tcp` within each repetition.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios/summarise/stats.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char header[] =
	"scenario,backend,clock,kernel,mode,file,bytes,n,failed,median_ms,ci95_low_ms,ci95_high_ms,"
	"delta_ms,delta_ci95_low_ms,delta_ci95_high_ms,observed_protocol,verdict";

struct input {
	const char *run_path, *cells_path;
	const char *effects_path, *transfers_path, *lines_path; /* NULL: not asked for */
	json_t *run;
	json_t *cells; /* object: "mode/file/repetition" -> cell; a later line replaces an earlier */
	unsigned long seed;
	size_t reps;
};

static const char *text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static int read_cells(struct input *in)
{
	FILE *file = fopen(in->cells_path, "r");
	char *line = NULL;
	size_t room = 0;
	int number = 0;
	int err = 0;
	ssize_t len;

	if (!file) {
		err = -errno;
		fprintf(stderr, "summarise: can't open '%s': %s\n", in->cells_path, strerror(-err));
		return err;
	}
	in->cells = json_object();
	while ((len = getline(&line, &room, file)) > 0) {
		json_t *cell = json_loadb(line, len, 0, NULL);
		char key[256];

		number++;
		if (!cell && line[len - 1] != '\n')
			break; /* the run was killed while it wrote its last line */
		if (!json_is_object(cell)) {
			fprintf(stderr, "summarise: %s:%d: not a cell\n", in->cells_path, number);
			json_decref(cell);
			err = -EINVAL;
			break;
		}
		if (json_is_true(json_object_get(cell, "warmup"))) {
			json_decref(cell);
			continue;
		}
		snprintf(key, sizeof(key), "%s/%s/%lld", text(cell, "mode"), text(cell, "file"),
			 json_integer_value(json_object_get(cell, "rep")));
		json_object_set_new(in->cells, key, cell);
	}
	free(line);
	fclose(file);
	return err;
}

static const json_t *find_cell(const struct input *in, const char *mode, const char *file,
			       size_t rep)
{
	char key[256];

	snprintf(key, sizeof(key), "%s/%s/%zu", mode, file, rep);
	return json_object_get(in->cells, key);
}

/* The cell's completion time, if it passed: its timings count only then. */
static bool passed_ms(const json_t *cell, double *ms)
{
	if (!cell || strcmp(text(cell, "status"), "ok"))
		return false;
	*ms = json_number_value(json_object_get(cell, "eof_ns")) / 1e6;
	return true;
}

struct row {
	size_t n, failed, unsupported, paired;
	double *ms, *delta;
	char observed[32];
};

static void collect(const struct input *in, const char *mode, const char *file, struct row *row)
{
	for (size_t rep = 1; rep <= in->reps; rep++) {
		const json_t *cell = find_cell(in, mode, file, rep);
		double ms, tcp_ms;

		if (!cell)
			continue;
		if (!strcmp(text(cell, "status"), "unsupported")) {
			row->unsupported++;
			continue;
		}
		if (!row->observed[0])
			snprintf(row->observed, sizeof(row->observed), "%s",
				 text(cell, "observed"));
		else if (strcmp(row->observed, text(cell, "observed")))
			snprintf(row->observed, sizeof(row->observed), "mixed");
		if (!passed_ms(cell, &ms)) {
			row->failed++;
			continue;
		}
		row->ms[row->n++] = ms;
		if (passed_ms(find_cell(in, "tcp", file, rep), &tcp_ms))
			row->delta[row->paired++] = ms - tcp_ms;
	}
}

/*
 * Whether two columns are an interval or a range, @told tells: the row's n. Differences of fewer pairs
 * than an interval needs, in a row that has enough transfers, have neither.
 */
static int print_estimate(const double *x, size_t n, size_t told, unsigned long seed)
{
	struct stats_estimate e;
	int err;

	if (!n) {
		printf(",,,");
		return 0;
	}
	err = stats_estimate(x, n, seed, &e);
	if (err)
		return err;
	if (n < STATS_INTERVAL_LEAST && told >= STATS_INTERVAL_LEAST)
		printf(",%.3f,,", e.median);
	else
		printf(",%.3f,%.3f,%.3f", e.median, e.low, e.high);
	return 0;
}

/*
 * Beside the contract of summary.csv: how many transfers lie outside Tukey's fences (they are counted
 * in the medians all the same), and Cliff's delta to tcp.
 */
static int print_effects(FILE *out, const char *mode, const char *file, const struct row *row,
			 const struct row *tcp)
{
	struct stats_fences f;
	size_t outliers = 0;

	if (!row->n)
		return 0;
	if (stats_fences(row->ms, row->n, &f))
		return -ENOMEM;
	for (size_t i = 0; i < row->n; i++)
		outliers += row->ms[i] < f.low || row->ms[i] > f.high;
	fprintf(out, "%s,%s,%zu,%zu,", mode, file, row->n, outliers);
	if (tcp->n)
		fprintf(out, "%.3f", stats_cliffs_delta(row->ms, row->n, tcp->ms, tcp->n));
	fputc('\n', out);
	return 0;
}

/* Each transfer that passed, for figures that show them. */
static int print_transfers(FILE *out, const char *mode, const char *file, const struct row *row)
{
	struct stats_fences f;

	if (!row->n)
		return 0;
	if (stats_fences(row->ms, row->n, &f))
		return -ENOMEM;
	for (size_t i = 0; i < row->n; i++)
		fprintf(out, "%s,%s,%.3f,%d\n", mode, file, row->ms[i],
			row->ms[i] < f.low || row->ms[i] > f.high);
	return 0;
}

/* How often a mode was to be repeated, at most in->reps times. */
static size_t reps_of(const struct input *in, const char *mode)
{
	const json_t *fewer = json_object_get(json_object_get(in->run, "fewer"), mode);
	size_t n = json_integer_value(fewer);

	return fewer && n < in->reps ? n : in->reps;
}

static const char *verdict(const struct input *in, const char *mode, const struct row *row)
{
	if (row->failed)
		return "failed";
	if (row->unsupported)
		return "unsupported";
	return row->n < reps_of(in, mode) ? "incomplete" : "ok";
}

static int row_alloc(struct row *row, size_t reps)
{
	*row = (struct row){ .ms = calloc(reps + 1, sizeof(double)),
			     .delta = calloc(reps + 1, sizeof(double)) };
	return row->ms && row->delta ? 0 : -ENOMEM;
}

static void row_free(struct row *row)
{
	free(row->ms);
	free(row->delta);
}

static int print_row(const struct input *in, const char *mode, const json_t *file, FILE *effects,
		     FILE *transfers)
{
	struct row row = { 0 }, tcp = { 0 };
	int err;

	err = row_alloc(&row, in->reps);
	if (!err)
		err = row_alloc(&tcp, in->reps);
	if (err)
		goto out;
	collect(in, mode, text(file, "name"), &row);
	collect(in, "tcp", text(file, "name"), &tcp);
	printf("%s,%s,%s,%s,%s,%s,%lld,%zu,%zu", text(in->run, "scenario"),
	       text(in->run, "backend"), text(in->run, "clock"), text(in->run, "kernel"), mode,
	       text(file, "name"), json_integer_value(json_object_get(file, "bytes")), row.n,
	       row.failed);
	err = print_estimate(row.ms, row.n, row.n, in->seed);
	if (!err)
		err = print_estimate(row.delta, row.paired, row.n, in->seed);
	printf(",%s,%s\n", row.observed, verdict(in, mode, &row));
	if (!err && effects)
		err = print_effects(effects, mode, text(file, "name"), &row, &tcp);
	if (!err && transfers)
		err = print_transfers(transfers, mode, text(file, "name"), &row);
out:
	row_free(&row);
	row_free(&tcp);
	return err;
}

/* open_beside PATH HEADER: NULL without a path; *err says if it could not be written. */
static FILE *open_beside(const char *path, const char *head, int *err)
{
	FILE *file = path ? fopen(path, "w") : NULL;

	if (path && !file) {
		*err = -errno;
		fprintf(stderr, "summarise: can't write '%s': %s\n", path, strerror(errno));
	}
	if (file)
		fprintf(file, "%s\n", head);
	return file;
}

static int close_beside(FILE *file, const char *path)
{
	if (!file || fclose(file) == 0)
		return 0;
	fprintf(stderr, "summarise: can't write '%s': %s\n", path, strerror(errno));
	return -EIO;
}

/*
 * Fixed cost and cost a byte of a mode, through the medians of all files: residuals count in parts of
 * the median, so that no size outweighs the others. A line needs four sizes to mean anything; several
 * transfers at once are none.
 */
static int print_line(const struct input *in, FILE *out, const char *mode)
{
	const json_t *files = json_object_get(in->run, "files");
	size_t most = json_array_size(files), points = 0;
	double *bytes = calloc(most + 1, sizeof(double)), *ms = calloc(most + 1, sizeof(double));
	struct stats_line line;
	int err = bytes && ms ? 0 : -ENOMEM;

	for (size_t f = 0; f < most && !err; f++) {
		const json_t *file = json_array_get(files, f);
		struct row row;

		if (json_integer_value(json_object_get(file, "parallel")) > 1)
			continue;
		err = row_alloc(&row, in->reps);
		if (!err) {
			collect(in, mode, text(file, "name"), &row);
			if (row.n) {
				bytes[points] = json_number_value(json_object_get(file, "bytes"));
				ms[points++] = stats_median(row.ms, row.n);
			}
		}
		row_free(&row);
	}
	if (!err && points >= 4) {
		stats_fit(bytes, ms, ms, points, &line);
		if (isfinite(line.slope))
			fprintf(out, "%s,%zu,%.3f,%.3f\n", mode, points, line.fixed,
				line.slope * 1e6);
	}
	free(bytes);
	free(ms);
	return err;
}

static int print_summary(const struct input *in)
{
	const json_t *modes = json_object_get(in->run, "modes");
	const json_t *files = json_object_get(in->run, "files");
	FILE *effects, *transfers, *lines;
	int err = 0;

	effects = open_beside(in->effects_path, "mode,file,n,outliers,cliffs_delta", &err);
	transfers = open_beside(in->transfers_path, "mode,file,ms,outlier", &err);
	lines = open_beside(in->lines_path, "mode,files,fixed_ms,ns_per_byte", &err);
	puts(header);
	for (size_t f = 0; f < json_array_size(files) && !err; f++) {
		for (size_t m = 0; m < json_array_size(modes) && !err; m++)
			err = print_row(in, json_string_value(json_array_get(modes, m)),
					json_array_get(files, f), effects, transfers);
	}
	for (size_t m = 0; m < json_array_size(modes) && !err && lines; m++)
		err = print_line(in, lines, json_string_value(json_array_get(modes, m)));
	if (close_beside(lines, in->lines_path))
		err = err ? err : -EIO;
	if (close_beside(effects, in->effects_path) || close_beside(transfers, in->transfers_path))
		err = err ? err : -EIO;
	return err;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case 'e': in->effects_path = arg; return 0;
	case 't': in->transfers_path = arg; return 0;
	case 'l': in->lines_path = arg; return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "unexpected argument '%s'", arg);
		*(state->arg_num ? &in->cells_path : &in->run_path) = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			argp_error(state, "RUN.json and CELLS.jsonl are needed");
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "effects", 'e', "FILE", 0, "effect sizes and outliers, a row a mode and file",
		  0 },
		{ "transfers", 't', "FILE", 0,
		  "every transfer that passed, and whether it is an outlier", 0 },
		{ "lines", 'l', "FILE", 0, "fixed cost and cost a byte, a row a mode", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "RUN.json CELLS.jsonl",
		.doc = "Print summary.csv: medians, 95 % bootstrap intervals (of fewer than six: the range), "
		       "deltas to tcp.",
	};
	struct input in = { 0 };
	json_error_t bad;
	int err;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &in);
	in.run = json_load_file(in.run_path, 0, &bad);
	if (!in.run) {
		fprintf(stderr, "summarise: %s:%d: %s\n", in.run_path, bad.line, bad.text);
		return EXIT_FAILED;
	}
	in.seed = json_integer_value(json_object_get(in.run, "seed"));
	in.reps = json_integer_value(json_object_get(in.run, "reps"));
	err = read_cells(&in);
	if (!err)
		err = print_summary(&in);
	if (err == -ENOMEM)
		fprintf(stderr, "summarise: out of memory\n");
	if (!err && (fflush(stdout) || ferror(stdout))) {
		err = -errno;
		fprintf(stderr, "summarise: can't write: %s\n", strerror(-err));
	}
	json_decref(in.cells);
	json_decref(in.run);
	return err ? EXIT_FAILED : 0;
}
