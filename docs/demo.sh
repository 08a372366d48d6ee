# The main job on the bundled newsroom, from an empty folder to a scored student.
set -eu
rm -rf demo
mkdir demo
cd demo
set -x
corpus init --contact demo@example.org
corpus crawl sample
align sentences
corpus report
distill run --no-reserved
benchmarks run embedded models/static
benchmarks newsroom
set +x
echo "report: $PWD/report.html"
