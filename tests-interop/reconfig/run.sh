#!/usr/bin/env bash
# An ensemble of Java and Oxherd that grows and shrinks; see ../mixed/run.sh for the variables.
STORY=reconfig exec "$(dirname "${BASH_SOURCE[0]}")/../mixed/run.sh"
