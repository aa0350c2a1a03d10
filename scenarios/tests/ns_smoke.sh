#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Every mode once in namespaces on the running kernel: see scenarios/smoke.conf.
exec "$(dirname "$0")/../smoke"
