select '[{{ missing }}]' as gap, '{{ SL_ENV }}' as env
