#!/bin/sh
# Ends a stack when the process that owns it is gone, however that happened (SIGKILL too).
# guard.sh OWNER_PID OWNER_START_TICKS RUN_FOLDER
ticks() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
while [ "$(ticks "$1")" = "$2" ]; do sleep 1; done
for file in "$3"/pids/*; do
  [ "$(basename "$file")" = guard ] && continue
  read -r pid start <"$file" || continue
  [ "$(ticks "$pid")" = "$start" ] && kill -KILL "-$pid"
done
sleep 1
rm -rf "$3"
