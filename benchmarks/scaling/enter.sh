#!/bin/sh
# Stands in for ssh: enter.sh ADDRESS COMMAND... runs a command in the network namespace with that address. The variable
# NAMESPACES has pairs ADDRESS=PID, with a process in each. UCX looks for network devices in /sys, which shows those of
# the namespace that mounted it.
address=$1
shift
for pair in $NAMESPACES; do
    case $pair in
    "$address"=*) exec nsenter --target "${pair#*=}" --net unshare --mount sh -c "mount -t sysfs sysfs /sys && $*" ;;
    esac
done
echo "enter.sh: no network namespace has the address $address" >&2
exit 1
