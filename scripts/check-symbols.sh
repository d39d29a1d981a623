#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-symbols.sh - the names that libimptrace.so takes from, and gives to, the programs it runs in
#
# usage: scripts/check-symbols.sh build/libimptrace.so
#
# Exported: exactly the global names of preload/libimptrace.map. Imported: no name that is not in
# tests/symbols/imported.txt. Needed: libc.so.6 alone, since a DT_NEEDED of ours would satisfy, and so
# hide, what the program itself lacks.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$(readlink -f "$0")")/.."

so=$1
map=preload/libimptrace.map
allowed=tests/symbols/imported.txt
# One word for all thread-local data: attach loads us by dlopen, into what is left of the static TLS block.
max_tls=64
status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bad() { echo "check-symbols: $*"; status=1; }

# Comments out; then the names between "global:" and "local:" or "}".
sed -z 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' "$map" | tr '{};' '\n\n\n' | awk '
	/global:/ { on = 1; sub(/.*global:/, "") }
	/local:/  { on = 0 }
	on        { for (i = 1; i <= NF; i++) print $i }' | sort -u >"$work/want-exported"
[ -s "$work/want-exported" ] || bad "no global names found in $map"
nm -D --defined-only "$so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
nm -D --undefined-only "$so" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u >"$work/imported"
sed 's/[[:space:]]*#.*//; /^$/d' "$allowed" | sort -u >"$work/allowed"

while read -r name; do bad "exported, but not in $map: $name"; done < <(comm -13 "$work/want-exported" "$work/exported")
while read -r name; do bad "in $map, but not exported: $name"; done < <(comm -23 "$work/want-exported" "$work/exported")
while read -r name; do bad "imported, but not in $allowed: $name"; done < <(comm -23 "$work/imported" "$work/allowed")
sed -n "s/[[:space:]]*# the compiler's choice.*//p" "$allowed" >"$work/chosen"
# An allowed name that nothing imports any more is no fault of the object; the list should shrink all the same.
while read -r name; do echo "check-symbols: remark: $allowed lists $name, which nothing imports"; done \
	< <(comm -13 "$work/imported" "$work/allowed" | grep -vxFf "$work/chosen")

# Names that only libzstd.a may import: our own objects must not call them (house style, section 6).
objects=$(dirname "$so")/preload
sed -n 's/[[:space:]]*# *libzstd only.*//p' "$allowed" | sort -u >"$work/zstd-only"
if [ -d "$objects" ]; then
	for object in "$objects"/*.o; do
		[ -e "preload/$(basename "$object" .o).c" ] || continue
		nm --undefined-only "$object" | awk '{ print $NF }' | sort -u >"$work/own"
		while read -r name; do
			bad "preload/$(basename "$object" .o).c uses $name, which only libzstd.a may import"
		done < <(comm -12 "$work/zstd-only" "$work/own")
	done
fi

readelf -dW "$so" >"$work/dynamic"
readelf -lW "$so" >"$work/segments"
while read -r name; do
	[ "$name" = libc.so.6 ] || bad "DT_NEEDED $name"
done < <(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic")
grep -q 'SONAME.*\[libimptrace.so\]' "$work/dynamic" || bad "soname is not libimptrace.so"
grep -q 'FLAGS_1.*NODELETE' "$work/dynamic" || bad "not linked with -z nodelete"
grep -q 'FLAGS_1.*NOW' "$work/dynamic" || bad "not linked with -z now"
grep -Eq '\((RPATH|RUNPATH)\)' "$work/dynamic" && bad "has an RPATH or RUNPATH"
grep -q TEXTREL "$work/dynamic" && bad "has text relocations"
grep -q 'GNU_RELRO' "$work/segments" || bad "not linked with -z relro"
grep -Eq 'GNU_STACK .*RWE' "$work/segments" && bad "asks for an executable stack"
tls=$(($(awk '$1 == "TLS" { print $6; exit }' "$work/segments")+0))
[ "$tls" -le "$max_tls" ] || bad "$tls bytes of static TLS, more than $max_tls"

[ "$status" -ne 0 ] || echo "check-symbols: $(wc -l <"$work/exported") names exported, $(wc -l <"$work/imported") imported, all as listed"
exit "$status"
