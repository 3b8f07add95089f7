#!/usr/bin/env bash
# Oxherd and Java in one ensemble. OXHERD names the binary; OUT is where directories and logs go; RELEASES are the
# releases of ZooKeeper; CLASS_PATH, when given, is one release's class path and Maven is not asked. MIXES are the
# ensembles, such as "java,java,ox"; ROUNDS is how often a leader is killed; STORY is mixed or reconfig.
# Ends with "name: N passed, ...".
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${OXHERD:?the binary under test}"
story=${STORY:-mixed}
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
rm -f "$out/results.tsv"
for tool in java python3; do
  command -v "$tool" >/dev/null || { echo "$story: skipped 1: no $tool here"; echo "$story: 0 passed, 0 failed, 1 skipped"; exit 0; }
done
releases=${RELEASES:-3.8.6 3.9.5}
if [ -n "${CLASS_PATH:-}" ]; then
  releases=given
  echo "$CLASS_PATH" >"$out/given.class-path"
else
  command -v mvn >/dev/null || { echo "$story: skipped 1: no mvn here"; echo "$story: 0 passed, 0 failed, 1 skipped"; exit 0; }
  for release in $releases; do
    mvn -q -B -f "$here/pom.xml" "-Dzookeeper.version=$release" "-Dmdep.outputFile=$out/$release.class-path" \
      dependency:build-classpath >"$out/maven.log" 2>&1 || {
        tail -3 "$out/maven.log"
        echo "$story: 0 passed, 1 failed, 0 skipped"; exit 1; }
  done
fi
# shellcheck disable=SC2086
[ "$story" != mixed ] || { python3 "$here/observers.py" "$OXHERD" "$out" $releases; python3 "$here/lead.py" "$OXHERD" "$out" $releases; }
# shellcheck disable=SC2086
exec python3 "$here/$story.py" "$OXHERD" "$out" $releases
