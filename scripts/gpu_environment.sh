# Python for the scripts beside this file: the project's own where it is set up, else the machine's with the wheels of
# the folder wheels/ beside its packages. To be sourced from the repository's root. Sets PY and PYTHONPATH.

PY=${PYTHON:-python3}
if [ -x .venv/bin/python ]; then
    PY=.venv/bin/python
elif ls wheels/*.whl >/dev/null 2>&1; then
    # Kept between calls, made anew when the wheels change.
    site=runs/site-$(ls wheels | cksum | cut -d' ' -f1)
    if [ ! -d "$site" ]; then
        mkdir -p runs
        rm -rf "$site.partial"
        "$PY" -m pip install --quiet --no-index --no-deps --find-links wheels --target "$site.partial" wheels/*.whl
        mv "$site.partial" "$site"
    fi
    PYTHONPATH=$PWD/$site${PYTHONPATH:+:$PYTHONPATH}
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

require() {
    for name in "$@"; do
        "$PY" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" || {
            echo "the Python package $name is not installed; put its wheel (and what it needs) into wheels/" >&2
            exit 2
        }
    done
}
