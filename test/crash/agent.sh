#!/bin/sh
# The agent of the crash laboratory. Its prompt is one line of name=value words that say what it does; what it did it
# writes into a journal outside of the attempt's folder, a line at a time, stamped with the seconds since boot.
read -r spec
lines=0 pause=0 pad='' times=1 exit=0 kill='' children=0 stubborn=0 linger=0
for word in $spec; do case $word in *=*) eval "$word" ;; esac; done

note() {
  read -r uptime _ </proc/uptime
  echo "$1 $AIWG_TASK_ID $AIWG_ATTEMPT_ID $uptime $2" >>"$LAB_JOURNAL"
}

read -r stat </proc/$$/stat
started=$(set -- ${stat##*) }; shift 19; echo "$1")
note start "$$ $started"
[ "$stubborn" = 0 ] || trap '' TERM HUP INT

while [ "$children" -gt 0 ]; do
  setsid sh -c 'trap "" TERM HUP INT; while :; do sleep 0.5; done' &
  children=$((children - 1))
done

padding=''
while [ "$times" -gt 0 ]; do
  padding=$padding$pad
  times=$((times - 1))
done

n=1
while [ "$n" -le "$lines" ]; do
  echo "line $n $padding"
  if [ "$pause" != 0 ]; then
    note unit "$n"
    sleep "$pause"
  fi
  n=$((n + 1))
done

while [ "$linger" -gt 0 ]; do
  sleep 0.1
  linger=$((linger - 1))
done

note end "$exit"
[ -z "$kill" ] || kill -"$kill" $$
exit "$exit"
