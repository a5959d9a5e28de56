#!/bin/busybox sh
# A stand-in for a server in a container. Arguments: MODEL MODE.
trap 'exit 0' TERM
# The engine does not keep the order of lines of two streams.
[ "$2" = dies ] && exec >&2
echo "model $1 secret $STAND_IN_SECRET"
case "$2" in
dies)
    echo "::error::weights are broken"
    exit 3
    ;;
never-ready)
    /bin/busybox sleep 300 &
    wait
    ;;
esac
/bin/busybox httpd -f -p 8000 -h /www &
wait
