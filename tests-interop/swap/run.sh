#!/usr/bin/env bash
# Three Java servers become Oxherd and Java again under load. OXHERD names the binary; CLIENTS is the class path of the
# Java clients, PYTHON an interpreter with kazoo; OUT is where directories and logs go; RELEASES are the releases of
# ZooKeeper. FULL=1 adds five servers with an observer. Ends with "name: N passed, ...".
set -u
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${OXHERD:?the binary under test}" "${CLIENTS:?the class path of the Java clients}"
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
rm -f "$out/results.tsv" "$out/gaps.jsonl"
releases=${RELEASES:-3.8.6 3.9.5}
for release in $releases; do
  mvn -q -B -f "$here/../mixed/pom.xml" "-Dzookeeper.version=$release" "-Dmdep.outputFile=$out/$release.class-path" \
    dependency:build-classpath >"$out/maven.log" 2>&1 || {
      tail -3 "$out/maven.log"
      echo "swap: 0 passed, 1 failed, 0 skipped"; exit 1; }
done
# shellcheck disable=SC2086
exec "${PYTHON:-python3}" "$here/swap.py" "$OXHERD" "$out" $releases
