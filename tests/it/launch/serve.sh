#!/bin/busybox sh
# A stand-in for a server in a container. Arguments: MODEL MODE [--host H --port P].
trap 'exit 0' TERM
# The engine does not keep the order of lines of two streams.
[ "$2" = dies ] && exec >&2
echo "model $1 secret $STAND_IN_SECRET$HF_TOKEN"
port=8000
before=
for word in "$@"; do
    [ "$before" = --port ] && port=$word
    before=$word
done
case "$2" in
dies)
    echo "::error::weights are broken"
    exit 3
    ;;
never-ready)
    /bin/busybox sleep 300 &
    wait
    ;;
simulate)
    # Mounted by the test. It listens on the container's own loopback only; nc hands the published port on to it.
    # An image may have options of its own for it.
    # shellcheck disable=SC2086
    /perfgate simulate --model "$1" --port 9000 $SIMULATOR_OPTIONS &
    /bin/busybox nc -ll -p "$port" -e /bin/busybox nc 127.0.0.1 9000 &
    wait
    ;;
abandons)
    # A grandchild that ends as an orphan: somebody must reap it.
    (/bin/busybox sleep 1 &)
    ;;
esac
/bin/busybox httpd -f -p "$port" -h /www &
wait
