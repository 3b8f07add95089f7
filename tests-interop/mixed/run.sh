#!/usr/bin/env bash
# Oxherd and Java in one ensemble. OXHERD names the binary; OUT is where directories and logs go; RELEASES are the
# releases of ZooKeeper; CLASS_PATH, when given, is one release's class path and Maven is not asked. MIXES are the
# ensembles, such as "java,java,ox"; ROUNDS is how often a leader is killed; STORY is mixed or reconfig, of which the
# last needs CLIENTS, the class path of Java clients, and PYTHON, an interpreter with kazoo; FULL=1 plays every part on
# every release. Ends with "name: N passed, ...".
set -u
export PYTHONDONTWRITEBYTECODE=1
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
case $story in
  mixed) before="observers lead sync sessions" ;;
  *) before="places torn following" ;;
esac
for part in $before; do
  # shellcheck disable=SC2086
  python3 "$here/$part.py" "$OXHERD" "$out" $releases || printf 'FAIL\t%s.py comes to its end\n' "$part" >>"$out/results.tsv"
done
# shellcheck disable=SC2086
exec python3 "$here/$story.py" "$OXHERD" "$out" $releases
