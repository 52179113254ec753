#!/bin/sh
# The figures of README's table: files and PostgreSQL with Redis, one after the other, on this machine.
#   benches/goals.sh postgres://USER@HOST/EMPTY_DATABASE redis://HOST
# The database must be empty and is emptied after each measurement; the Redis should be of no other use. Half an hour
# on two cores, on which nothing else should run.
set -eu
[ $# = 2 ] || { sed -n 2,5p "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
cargo build --release --locked
measure() {
    printf '\n# tallyhouse bench %s\n' "$*"
    target/release/tallyhouse bench --beside --database "$database" --redis "$redis" "$@"
}
database=$1 redis=$2
measure --callers 1,8,32,128,1024 --payers 100000 --awards 1000000
measure --http 64 --presign --work shown,payments,reads --payers 100000 --no-verify
measure --http 64 --presign --work shown --hot --payers 100000 --no-verify
measure --http 64 --work shown --rate 1500 --payers 100000 --seconds 8 --no-verify
measure --http 4 --work awards --no-verify
measure --http 64 --work reads --payers 10000 --seconds 4 --no-verify
measure --callers '' --awards 6000000 --no-verify
