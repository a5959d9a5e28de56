#!/bin/busybox sh
# A stand-in for a server in a container. Arguments: MODEL MODE.
trap 'exit 0' TERM
echo "model $1 secret $STAND_IN_SECRET"
case "$2" in
dies)
    echo "::error::weights are broken" >&2
    exit 3
    ;;
never-ready)
    /bin/busybox sleep 300 &
    wait
    ;;
esac
/bin/busybox httpd -f -p 8000 -h /www &
wait
