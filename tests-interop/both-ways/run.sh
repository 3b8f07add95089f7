#!/usr/bin/env bash
# Java and Oxherd on the same directories, both ways. OXHERD names the binary; FULL=1 kills 50 times instead of 10;
# OUT is where directories and logs go; RELEASES are the releases of ZooKeeper. Ends with "name: N passed, ...".
set -u
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${OXHERD:?the binary under test}"
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
rm -f "$out/results.tsv"
for tool in java mvn python3; do
  command -v "$tool" >/dev/null || { echo "both-ways: skipped 1: no $tool here"; echo "both-ways: 0 passed, 0 failed, 1 skipped"; exit 0; }
done
releases=${RELEASES:-3.8.6 3.9.5}
for release in $releases; do
  mvn -q -B -f "$here/pom.xml" "-Dzookeeper.version=$release" "-Dmdep.outputFile=$out/$release.class-path" \
    dependency:build-classpath >"$out/maven.log" 2>&1 || {
      tail -3 "$out/maven.log"
      echo "both-ways: 0 passed, 1 failed, 0 skipped"; exit 1; }
done
# shellcheck disable=SC2086
exec python3 "$here/both_ways.py" "$OXHERD" "$out" $releases
